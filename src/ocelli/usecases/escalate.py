"""Carry out a policy: after the first answer decide, reserve budget, and ask the second step.

A worker may die after any line. What it reserved stays spent then, as the calls may have been made:
the run that takes its place reserves anew, so budgets are never exceeded.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ocelli.domain.analysis import BackendFailure
from ocelli.domain.errors import AnalysisFailed, FailureType
from ocelli.domain.escalation import (
    Escalation,
    EscalationOutcome,
    Spending,
    StepResult,
    calibrated,
    cost,
    exhausted,
    merged,
    reasons,
    same_steps,
)
from ocelli.usecases.verification_engine import answer_key

if TYPE_CHECKING:
    from datetime import date
    from uuid import UUID

    from ocelli.domain.analysis import Analysis, AnalysisAnswer
    from ocelli.domain.escalation import Step, StoredPolicy
    from ocelli.domain.ports_backends import PictureLike
    from ocelli.storage.postgres.database import PostgresDatabase, PostgresTransaction
    from ocelli.usecases.open_vocabulary import OpenVocabulary
    from ocelli.usecases.verification_engine import Engine


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture, and the bytes of its file."""

    decoded: PictureLike
    data: bytes


@dataclass(frozen=True, slots=True)
class BudgetUse:
    """What one run took of a policy's budget of ``period``, and what of that it used."""

    policy_id: UUID
    period: date
    reserved: Spending = field(default_factory=Spending)
    used: Spending = field(default_factory=Spending)


@dataclass(frozen=True, slots=True)
class Escalated:
    """The answer, its record, and the cache entry of the second step's answer, if it is new.

    Without ``use`` the policy was deleted.
    """

    answer: AnalysisAnswer
    record: Escalation
    use: BudgetUse | None = None
    keep: tuple[bytes, AnalysisAnswer] | None = None


class Escalate:
    """Decides about second steps, and asks them."""

    def __init__(self, database: PostgresDatabase, engine: Engine) -> None:
        self._database = database
        self._engine = engine

    async def answer(
        self,
        analysis: Analysis,
        picture: Picture,
        first: AnalysisAnswer,
        vocabulary: OpenVocabulary | None,
        *,
        until: float,
    ) -> Escalated:
        """Return the answer under the analysis's policy: the second step's, or ``first``.

        Not later than at ``until``, a moment of the event loop's clock. A second step that does
        not answer is no failure: the first answer stays, and the record says so.
        """
        assert analysis.policy_id is not None
        async with self._database.autocommit() as tx:
            stored = await tx.policies.get(analysis.policy_id)
        level = analysis.level
        said = StepResult(level, describer(first), first.confidence, len(first.calls))
        if stored is None:
            record = Escalation(
                None, EscalationOutcome.POLICY_DELETED, first=said, message=f"{_DELETED}."
            )
            return Escalated(first, record)
        policy = stored.policy
        why = reasons(policy.when, first, analysis.question)
        record = Escalation(stored.name, EscalationOutcome.NOT_NEEDED, why, said)
        done = Escalated(first, record, BudgetUse(stored.id, stored.period))
        if why:
            second = _SecondStep(
                self._database, self._engine, stored, analysis, picture, vocabulary
            )
            done = await second.run(done, until)
        if policy.calibration is None:
            return done
        is_second = done.record.outcome is EscalationOutcome.ESCALATED
        calibration = policy.calibration.second if is_second else policy.calibration.first
        return replace(done, answer=calibrated(done.answer, calibration))


@dataclass(frozen=True, slots=True)
class _SecondStep:
    """The second step for one picture."""

    database: PostgresDatabase
    engine: Engine
    stored: StoredPolicy
    analysis: Analysis
    picture: Picture
    vocabulary: OpenVocabulary | None

    @property
    def step(self) -> Step:
        return self.stored.policy.second

    async def run(self, done: Escalated, until: float) -> Escalated:
        """Return the answer of the second step, or of the first with the reason for that."""
        step = self.step
        why = self.engine.why_not(step.backends)
        if why is None and same_steps(self.stored.policy, self.engine.default_backend):
            why = "The second step is the same as the first, by the default backend of now."
        if why is not None:
            return self._stays(done, EscalationOutcome.UNAVAILABLE, why)
        question = replace(self.analysis.question, backends=step.backends)
        roster = self.engine.roster(question, self.vocabulary)
        key = answer_key(self.picture.data, question, step.level, roster)
        async with self.database.autocommit() as tx:
            known = await tx.answers.get(self.analysis.tenant_id, key)
        if known is not None:
            return self._answered(done, replace(known, calls=()))
        planned = cost(self.engine.planned_calls(question, step.level, self.vocabulary))
        reserved = await self._reserve(done, planned)
        if isinstance(reserved, str):
            return self._stays(done, EscalationOutcome.BUDGET_EXHAUSTED, f"{reserved}.")
        done = replace(done, use=reserved)
        try:
            async with asyncio.timeout_at(until):
                second = await self.engine.answer(
                    self.picture.decoded, question, step.level, self.vocabulary
                )
        except AnalysisFailed as failed:
            return self._failed(done, failed)
        except TimeoutError:  # the calls were made, and may have to be paid
            done = replace(done, use=replace(reserved, used=reserved.reserved))
            return self._failed(done, _TOO_LATE)
        calls = cost(each.source for each in second.calls)
        taken = reserved.reserved
        used = replace(calls, pictures=taken.pictures, escalated=taken.escalated)
        done = replace(done, use=replace(reserved, used=used))
        if not self._is_answer(second):
            return self._failed(done, _NO_DESCRIPTION)
        answered = self._answered(done, second)
        return answered if second.errors else replace(answered, keep=(key, second))

    async def _reserve(self, done: Escalated, planned: Spending) -> BudgetUse | str:
        """Take the planned calls from the budget, and note that; or return what is used up."""
        use = done.use
        assert use is not None
        async with self.database.transaction() as tx:
            # Always the analysis first, then the spending: no two transactions wait in a circle.
            if await tx.policies.lock_record(self.analysis.id):
                planned = replace(planned, escalated=0)  # a run that died counted the picture
            else:
                planned = replace(planned, pictures=1)
            spent = await tx.policies.lock_spending(use.policy_id, use.period)
            if spent is None:
                return _DELETED
            used_up = exhausted(self.stored.policy.budget, spent, planned)
            if used_up is not None:
                return used_up
            await tx.policies.spend(use.policy_id, use.period, planned)
            await tx.policies.put_record(self.analysis.id, done.record)
        return replace(use, reserved=planned, used=replace(planned, calls=0, hundredths=0))

    def _is_answer(self, second: AnalysisAnswer) -> bool:
        """Return whether the backend that was to answer did, and not one in its place."""
        return describer(second) is not None and self.step.backend in (None, describer(second))

    def _answered(self, done: Escalated, second: AnalysisAnswer) -> Escalated:
        looks = len(second.calls)
        result = StepResult(self.step.level, describer(second), second.confidence, looks)
        record = replace(done.record, outcome=EscalationOutcome.ESCALATED, second=result)
        return replace(done, answer=merged(done.answer, second), record=record)

    def _failed(self, done: Escalated, failed: AnalysisFailed) -> Escalated:
        backend = self.step.backend or self.engine.default_backend
        error = BackendFailure(backend, failed.type, failed.message, failed.retryable)
        answer = replace(done.answer, errors=(*done.answer.errors, error))
        assert done.use is not None
        use = replace(done.use, used=replace(done.use.used, escalated=0))
        done = replace(done, answer=answer, use=use)
        return self._stays(done, EscalationOutcome.FAILED, failed.message)

    def _stays(self, done: Escalated, outcome: EscalationOutcome, why: str) -> Escalated:
        result = StepResult(self.step.level, self.step.backend or self.engine.default_backend)
        record = replace(done.record, outcome=outcome, second=result, message=why)
        return replace(done, record=record)


async def settle_budget(tx: PostgresTransaction, analysis_id: UUID, use: BudgetUse) -> None:
    """Count the picture, and give back what was reserved and not used.

    Before the answer is stored, in its transaction: the picture has a record afterwards.
    """
    was_counted = await tx.policies.lock_record(analysis_id)
    pictures = 0 if was_counted else 1
    change = replace(use.used - use.reserved, pictures=pictures)
    await tx.policies.spend(use.policy_id, use.period, change)


def describer(answer: AnalysisAnswer) -> str | None:
    """Return the backend that described; None if none did."""
    return next((each.source for each in answer.findings if each.description), None)


_DELETED = "The policy was deleted meanwhile"
_TOO_LATE = AnalysisFailed(
    FailureType.TIMEOUT, "The second step did not answer in time.", retryable=True
)
_NO_DESCRIPTION = AnalysisFailed(
    FailureType.VLM_ERROR, "The second step gave no description.", retryable=True
)
