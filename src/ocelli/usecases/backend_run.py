"""What one backend answers at a level: described, checked, and what is left of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ocelli.domain.analysis import BackendFailure, ModelCall, Task, VerificationLevel
from ocelli.domain.claims import Ruling
from ocelli.domain.errors import AnalysisFailed
from ocelli.domain.findings import Tag
from ocelli.domain.ports_backends import ChoosesTags
from ocelli.domain.sentences import claims_from_text, sentences
from ocelli.domain.tagging import JudgedTag, TagCandidates, candidates, offering
from ocelli.domain.verification import (
    ClaimVerdicts,
    confidence,
    judged,
    tags_without_dropped,
    to_judge,
    without_dropped,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.domain.claims import Claim, ClaimCheck, JudgedClaim
    from ocelli.domain.findings import Findings
    from ocelli.domain.ports_backends import Backend, PictureLike
    from ocelli.domain.questions import Question
    from ocelli.usecases.open_vocabulary import OpenVocabulary
    from ocelli.usecases.verification_engine import Engine

OFFERED = 0.9  # the score of a tag that a model chose from a list; no model measures it


@dataclass(frozen=True, slots=True)
class BackendResult:
    """The verified answer of one backend."""

    findings: Findings | None
    claims: tuple[JudgedClaim, ...]
    calls: tuple[ModelCall, ...]
    confidence: float | None
    errors: tuple[BackendFailure, ...] = ()
    chosen: tuple[JudgedTag, ...] = ()


@dataclass(frozen=True, slots=True)
class _Checked:
    """A check, and the positions of the claims that it was about."""

    check: ClaimCheck
    positions: tuple[int, ...]
    task: Task

    @property
    def call(self) -> ModelCall:
        """The model call of this check."""
        check = self.check
        return ModelCall(check.source, check.model_version, self.task, check.tokens, check.model_ms)

    @property
    def contradicted(self) -> set[int]:
        """The positions of the claims that it contradicts."""
        return {
            position
            for position, verdict in zip(self.positions, self.check.verdicts, strict=True)
            if verdict.ruling is Ruling.CONTRADICTED
        }


@dataclass(frozen=True, slots=True)
class BackendRun:
    """One backend's description, or check of a statement, at a level."""

    engine: Engine
    picture: PictureLike
    question: Question
    level: VerificationLevel
    first: Backend
    evidence_task: asyncio.Task[Findings | None]
    vocabulary: OpenVocabulary | None

    async def result(self) -> BackendResult:
        """Return the verified answer. Raises AnalysisFailed."""
        if self.question.statement is not None:
            return await self._verified(self.question.statement)
        if not self.first.capabilities & self.question.features:
            return BackendResult(None, (), (), None)
        findings, calls, failures = await self._described()
        text = findings.description or ""
        claims = findings.claims or claims_from_text(text)
        tags = await self._candidates(findings, claims)
        if not text and not tags.claims:
            return BackendResult(findings, (), calls, findings.confidence, failures)
        checkers = self.engine.checkers_of(self.first)[: self.level.looks - 1] if text else ()
        judged_all, checks, errors = await self._checked(
            (*claims, *tags.claims), text, checkers, self.first.name, own=len(claims)
        )
        judged_claims = judged_all[: len(claims)]
        return BackendResult(
            replace(
                findings,
                description=self._reworded(findings, judged_claims, checks),
                tags=tuple(
                    t for t in findings.tags if tags_without_dropped([t.name], judged_claims)
                ),
                confidence=self._confidence(findings, judged_claims),
            ),
            judged_claims,
            (*calls, *(each.call for each in checks)),
            self._confidence(findings, judged_claims),
            (*failures, *errors),
            tags.judged(judged_all),
        )

    async def _described(
        self,
    ) -> tuple[Findings, tuple[ModelCall, ...], tuple[BackendFailure, ...]]:
        """Return the findings of the first look, with the terms of a vocabulary that it chose.

        A vocabulary that is too long for one look goes on in looks of its own; one that fails is
        left out. Raises AnalysisFailed.
        """
        thorough = self.level is VerificationLevel.THOROUGH
        vocabulary, first, question = self.vocabulary, self.first, self.question
        parts = offered(first, vocabulary)
        if vocabulary is not None and parts:
            question = replace(question, vocabulary=offering(vocabulary.asked, parts[0]))
        findings = await self.engine.watched(
            first, first.look(self.picture, question, thorough=thorough)
        )
        call = ModelCall(
            findings.source,
            findings.model_version,
            Task.DESCRIBE,
            findings.tokens,
            findings.model_ms,
        )
        if vocabulary is None or not isinstance(first, ChoosesTags) or len(parts) < 2:
            return findings, (call,), ()
        chosen = await asyncio.gather(
            *(
                self.engine.watched(
                    first,
                    first.choose(self.picture, offering(vocabulary.asked, part), thorough=thorough),
                )
                for part in parts[1:]
            ),
            return_exceptions=True,
        )
        calls, failures, more = [call], [], []
        for outcome in chosen:
            if isinstance(outcome, AnalysisFailed):
                failures.append(failure_of(first, outcome))
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                more += [Tag(name, OFFERED) for name in outcome.tags]
                calls.append(
                    ModelCall(
                        outcome.source,
                        outcome.model_version,
                        Task.TAG,
                        outcome.tokens,
                        outcome.model_ms,
                    )
                )
        return replace(findings, tags=(*findings.tags, *more)), tuple(calls), tuple(failures)

    async def _candidates(self, findings: Findings, claims: Sequence[Claim]) -> TagCandidates:
        """Return the tags that are chosen for what the first look found."""
        vocabulary = self.vocabulary
        if vocabulary is None:
            return TagCandidates(findings.source)
        was_offered = isinstance(self.first, ChoosesTags)
        words = [each.name for each in findings.tags]
        said = () if was_offered else sentences(findings.description or "")
        choice = await vocabulary.choose(words, said, offered=was_offered)
        return await asyncio.to_thread(
            candidates, findings, claims, choice.tags, vocabulary.index.named_in
        )

    async def _verified(self, statement: str) -> BackendResult:
        checkers = (self.first, *self.engine.checkers_of(self.first))[: self.level.looks]
        judged_claims, checks, errors = await self._checked(
            claims_from_text(statement), statement, checkers, None
        )
        if not checks:
            failed = errors[0]
            raise AnalysisFailed(failed.type, failed.message, retryable=failed.retryable)
        computed = confidence(judged_claims, self.engine.calibration(self.level))
        return BackendResult(
            None, judged_claims, tuple(each.call for each in checks), computed, errors
        )

    async def _checked(
        self,
        claims: Sequence[Claim],
        text: str,
        checkers: Sequence[Backend],
        describer: str | None,
        *,
        own: int | None = None,
    ) -> tuple[tuple[JudgedClaim, ...], list[_Checked], tuple[BackendFailure, ...]]:
        """Return the judged claims after all checks; a failed check is left out.

        A describer whose claims have beliefs is asked again about its first ``own`` ones only.
        """
        measured = any(claim.belief is not None for claim in claims)
        evidence = await asyncio.shield(self.evidence_task)
        verdicts = self.engine.evidence_verdicts(claims, evidence, describer)
        checks: list[_Checked] = []
        errors = []
        for nth, backend in enumerate(checkers, 1):
            judges = (
                self.level is VerificationLevel.CRITICAL and nth == len(checkers) and bool(checks)
            )
            positions = list(to_judge(verdicts) if judges else range(len(claims)))
            if measured and backend.name == describer:
                positions = [i for i in positions if own is None or i < own]
            try:
                checking = backend.check(
                    self.picture,
                    [claims[i] for i in positions],
                    description=text,
                    question=self.question,
                    evidence=evidence,
                    thorough=self.level is VerificationLevel.THOROUGH,
                    nth=nth,
                )
                check = await self.engine.watched(backend, checking)
            except AnalysisFailed as failed:
                errors.append(failure_of(backend, failed))
                continue
            verdicts = _with(verdicts, positions, check)
            checks.append(_Checked(check, tuple(positions), Task.JUDGE if judges else Task.CHECK))
        calibration = self.engine.calibration(self.level)
        judged_claims = judged(claims, verdicts, describer=describer, calibration=calibration)
        return judged_claims, checks, tuple(errors)

    def _reworded(
        self, findings: Findings, judged_claims: Sequence[JudgedClaim], looks: Sequence[_Checked]
    ) -> str:
        """Return the description without the dropped claims.

        Reworded by the describer if that needs no model call, else as revised by a checker that
        contradicted exactly these claims, else without the sentences that state them.
        """
        text = findings.description or ""
        dropped = {position for position, each in enumerate(judged_claims) if not each.kept}
        if not dropped:
            return text
        claims = [judged_claims[position].claim for position in dropped]
        own = self.first.reword(findings, claims, self.question)
        if own is not None:
            return own
        for look in reversed(looks):
            contradicted = {i for i in look.contradicted if i < len(judged_claims)}
            if look.check.revised and contradicted == dropped:
                return look.check.revised
        return without_dropped(text, judged_claims)

    def _confidence(
        self, findings: Findings, judged_claims: tuple[JudgedClaim, ...]
    ) -> float | None:
        """Return the describer's own confidence if it has one, else the computed one.

        The describer's first one if it made no claims.
        """
        own = self.first.confidence(judged_claims)
        if own is not None:
            return round(own, 4)
        computed = confidence(judged_claims, self.engine.calibration(self.level))
        return findings.confidence if computed is None else computed


def offered(backend: Backend, vocabulary: OpenVocabulary | None) -> Sequence[Sequence[str]]:
    """Return the terms in the parts in which the backend is offered them; none if it cannot be."""
    if vocabulary is None or not isinstance(backend, ChoosesTags):
        return ()
    return backend.parts(vocabulary.index.paths)


def failure_of(backend: Backend, failed: AnalysisFailed) -> BackendFailure:
    """Return what is told of a backend that failed."""
    return BackendFailure(backend.name, failed.type, failed.message, failed.retryable)


def _with(
    verdicts: Sequence[ClaimVerdicts], positions: Sequence[int], check: ClaimCheck
) -> list[ClaimVerdicts]:
    changed = list(verdicts)
    for position, verdict in zip(positions, check.verdicts, strict=True):
        changed[position] = replace(verdicts[position], looks=(*verdicts[position].looks, verdict))
    return changed
