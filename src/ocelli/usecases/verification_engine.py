"""The verification levels: describe a picture, check the claims, keep those that hold."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from ocelli.domain.analysis import (
    AnalysisAnswer,
    BackendFailure,
    ModelCall,
    Task,
    VerificationLevel,
)
from ocelli.domain.claims import Ruling
from ocelli.domain.errors import AnalysisFailed, FailureType
from ocelli.domain.sentences import claims_from_text
from ocelli.domain.verification import (
    VERSION as RULES_VERSION,
)
from ocelli.domain.verification import (
    Calibration,
    ClaimVerdicts,
    confidence,
    judged,
    tags_without_dropped,
    text_without_dropped,
    to_judge,
    without_dropped,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from ocelli.domain.claims import Claim, ClaimCheck, JudgedClaim
    from ocelli.domain.findings import Findings
    from ocelli.domain.ports_backends import Backend, Backends, Evidence, PictureLike, SightGate
    from ocelli.domain.questions import Question

T = TypeVar("T")

log = logging.getLogger(__name__)

VERSION = 1


@dataclass(frozen=True, slots=True)
class _BackendResult:
    """The verified answer of one backend."""

    findings: Findings | None
    claims: tuple[JudgedClaim, ...]
    calls: tuple[ModelCall, ...]
    confidence: float | None
    errors: tuple[BackendFailure, ...] = ()


class Engine:
    """The only place that knows what a verification level is.

    =========  =====  ==========================================================================
    level      looks
    =========  =====  ==========================================================================
    quick        1    describe
    standard     2    describe; another backend, if there is one, checks every claim
    thorough     2    the same at full resolution and detail
    critical     3    describe; check; a third judges what the first two do not agree on, and what
                      no evidence confirms
    =========  =====  ==========================================================================

    Of a statement there is nothing to describe: every look checks it, and after the first each is
    another backend's if there is one. Evidence of the local models is gathered beside the first
    look and costs none.
    """

    def __init__(
        self,
        backends: Backends,
        evidence: Evidence | None = None,
        calibration: Calibration | None = None,
        sight: SightGate | None = None,
    ) -> None:
        self._backends = backends
        self._evidence = evidence
        self._sight = sight
        self._calibration = calibration or Calibration()

    async def answer(
        self, picture: PictureLike, question: Question, level: VerificationLevel
    ) -> AnalysisAnswer:
        """Return the answers of all requested backends as one.

        Raises AnalysisFailed if none answered; where one did, the others are in ``errors``.
        """
        backends, errors = self._requested_backends(question)
        evidence_task = asyncio.create_task(self._gather(picture, backends, question))
        try:
            outcomes = await asyncio.gather(
                *(
                    _BackendRun(self, picture, question, level, b, evidence_task).result()
                    for b in backends
                ),
                return_exceptions=True,
            )
            evidence = await evidence_task
        finally:
            evidence_task.cancel()
        results: list[_BackendResult] = []
        for backend, outcome in zip(backends, outcomes, strict=True):
            if isinstance(outcome, _BackendResult):
                results.append(outcome)
            elif isinstance(outcome, AnalysisFailed):
                errors.append(_failure(backend, outcome))
            else:
                raise outcome
        errors += [error for result in results for error in result.errors]
        if not results:
            worst = next((each for each in errors if each.retryable), errors[-1])
            raise AnalysisFailed(worst.type, worst.message, retryable=worst.retryable)
        return _merged(results, errors, evidence)

    def roster(self, question: Question) -> tuple[str, ...]:
        """Return the versions of all models that can take part: they determine the answer."""
        backends, _ = self._requested_backends(question)
        return tuple(
            f"{backend.name}={backend.model_version}"
            for first in backends
            for backend in (first, *self.checkers_of(first))
        )

    def why_not(self, backends: Sequence[str]) -> str | None:
        """Return why one of these backends cannot be asked now; None if all can."""
        for name in backends:
            if self._backends.get(name) is None:
                reason = self._sight and self._sight.held_back(name)
                return (
                    f"{name} is held back. {reason}"
                    if reason
                    else f"{name} is not configured here."
                )
        return None

    def planned_calls(self, question: Question, level: VerificationLevel) -> tuple[str, ...]:
        """Return the backend of each model call that an answer takes at most, in their order."""
        backends, _ = self._requested_backends(question)
        return tuple(
            backend.name
            for first in backends
            for backend in (first, *self.checkers_of(first))[: level.looks]
        )

    @property
    def default_backend(self) -> str:
        """The name of the backend that describes when a question names none."""
        return self._backends.default.name

    def checkers_of(self, first: Backend) -> tuple[Backend, Backend]:
        """Return the backends that check, and that judge, the claims of ``first``."""
        checker = self._backends.checker(first.name)
        return checker, self._backends.checker(first.name, checker.name)

    def _requested_backends(self, question: Question) -> tuple[list[Backend], list[BackendFailure]]:
        """Return each backend once; the default one replaces those that cannot be asked."""
        if not question.backends:
            return [self._backends.default], []
        found: dict[str, Backend] = {}
        missing: list[BackendFailure] = []
        for name in dict.fromkeys(question.backends):
            backend = self._backends.get(name)
            if backend is None:
                backend = self._backends.default
                missing.append(self._missing(name, backend))
            found.setdefault(backend.name, backend)
        return list(found.values()), missing

    def _missing(self, name: str, instead: Backend) -> BackendFailure:
        reason = self._sight and self._sight.held_back(name)
        if reason:
            message = f"{name} is held back. {reason} {instead.name} was asked instead."
            return BackendFailure(name, FailureType.VLM_ERROR, message, retryable=True)
        message = f"{name} is not configured here; {instead.name} was asked instead."
        return BackendFailure(name, FailureType.VALIDATION, message, retryable=False)

    async def watched(self, backend: Backend, look: Awaitable[T]) -> T:
        """Return the result of ``look``, and tell the sight gate whether it failed."""
        try:
            result = await look
        except AnalysisFailed as failed:
            if self._sight is not None:
                self._sight.looked(backend.name, failed)
            raise
        if self._sight is not None:
            self._sight.looked(backend.name, None)
        return result

    async def _gather(
        self, picture: PictureLike, backends: Sequence[Backend], question: Question
    ) -> Findings | None:
        """Return the evidence; None if it would add nothing, or failed: it is never required."""
        if self._evidence is None:
            return None
        if question.statement is None and all(b.name == self._evidence.name for b in backends):
            return None
        try:
            return await self._evidence.gather(picture)
        except AnalysisFailed as failed:
            log.warning("no evidence: %s", failed.message)
            return None

    def evidence_verdicts(
        self, claims: Sequence[Claim], found: Findings | None, describer: str | None
    ) -> list[ClaimVerdicts]:
        """Return the verdicts of the local models; none on claims that they made themselves."""
        if self._evidence is None or found is None or describer == self._evidence.name:
            return [ClaimVerdicts() for _ in claims]
        return [ClaimVerdicts(self._evidence.judge(claim, found)) for claim in claims]

    def calibration(self, level: VerificationLevel) -> Calibration:
        """Return the map from computed to observed probabilities of a level."""
        return self._calibration.at(level)


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
class _BackendRun:
    """One backend's description, or check of a statement, at a level."""

    engine: Engine
    picture: PictureLike
    question: Question
    level: VerificationLevel
    first: Backend
    evidence_task: asyncio.Task[Findings | None]

    async def result(self) -> _BackendResult:
        """Return the verified answer. Raises AnalysisFailed."""
        if self.question.statement is not None:
            return await self._verified(self.question.statement)
        if not self.first.capabilities & self.question.features:
            return _BackendResult(None, (), (), None)
        thorough = self.level is VerificationLevel.THOROUGH
        findings = await self.engine.watched(
            self.first, self.first.look(self.picture, self.question, thorough=thorough)
        )
        described = ModelCall(
            findings.source,
            findings.model_version,
            Task.DESCRIBE,
            findings.tokens,
            findings.model_ms,
        )
        if not findings.description:
            return _BackendResult(findings, (), (described,), findings.confidence)
        claims = findings.claims or claims_from_text(findings.description)
        text = findings.description
        checkers = self.engine.checkers_of(self.first)[: self.level.looks - 1]
        judged_claims, checks, errors = await self._checked(claims, text, checkers, self.first.name)
        return _BackendResult(
            replace(
                findings,
                description=self._reworded(findings, judged_claims, checks),
                tags=tuple(
                    t for t in findings.tags if tags_without_dropped([t.name], judged_claims)
                ),
                confidence=self._confidence(findings, judged_claims),
            ),
            judged_claims,
            (described, *(each.call for each in checks)),
            self._confidence(findings, judged_claims),
            errors,
        )

    async def _verified(self, statement: str) -> _BackendResult:
        checkers = (self.first, *self.engine.checkers_of(self.first))[: self.level.looks]
        judged_claims, checks, errors = await self._checked(
            claims_from_text(statement), statement, checkers, None
        )
        if not checks:
            failed = errors[0]
            raise AnalysisFailed(failed.type, failed.message, retryable=failed.retryable)
        computed = confidence(judged_claims, self.engine.calibration(self.level))
        return _BackendResult(
            None, judged_claims, tuple(each.call for each in checks), computed, errors
        )

    async def _checked(
        self, claims: Sequence[Claim], text: str, checkers: Sequence[Backend], describer: str | None
    ) -> tuple[tuple[JudgedClaim, ...], list[_Checked], tuple[BackendFailure, ...]]:
        """Return the judged claims after all checks; a failed check is left out."""
        evidence = await asyncio.shield(self.evidence_task)
        verdicts = self.engine.evidence_verdicts(claims, evidence, describer)
        checks: list[_Checked] = []
        errors = []
        for nth, backend in enumerate(checkers, 1):
            judges = (
                self.level is VerificationLevel.CRITICAL and nth == len(checkers) and bool(checks)
            )
            positions = to_judge(verdicts) if judges else range(len(claims))
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
                errors.append(_failure(backend, failed))
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
            if look.check.revised and look.contradicted == dropped:
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


def answer_key(
    picture: bytes, question: Question, level: VerificationLevel, roster: Sequence[str]
) -> bytes:
    """Return the cache key of an answer: a hash of picture, question, level and roster.

    ``roster`` pins the models and their prompts, the versions here the rules.
    """
    content = (
        sorted(question.features), question.role, question.language, question.prompt,
        question.backends, question.statement, level, tuple(roster), VERSION, RULES_VERSION,
    )  # fmt: skip
    return hashlib.sha256(hashlib.sha256(picture).digest() + repr(content).encode()).digest()


def _failure(backend: Backend, failed: AnalysisFailed) -> BackendFailure:
    return BackendFailure(backend.name, failed.type, failed.message, failed.retryable)


def _with(
    verdicts: Sequence[ClaimVerdicts], positions: Sequence[int], check: ClaimCheck
) -> list[ClaimVerdicts]:
    changed = list(verdicts)
    for position, verdict in zip(positions, check.verdicts, strict=True):
        changed[position] = replace(verdicts[position], looks=(*verdicts[position].looks, verdict))
    return changed


def _merged(
    results: Sequence[_BackendResult], errors: Sequence[BackendFailure], evidence: Findings | None
) -> AnalysisAnswer:
    """Merge the answers: description, text and tags are those of the first that has any.

    Text that no backend read is taken from the evidence.
    """
    findings = [each.findings for each in results if each.findings is not None]
    first = results[0]
    words = next((each for each in findings if each.description), None)
    texts = next((each for each in findings if each.visible_text), evidence)
    tags = next((each for each in findings if each.tags), None)
    return AnalysisAnswer(
        findings=tuple(findings),
        calls=tuple(call for each in results for call in each.calls),
        description=words.description if words else None,
        visible_text=text_without_dropped(texts.visible_text, first.claims) if texts else None,
        tags=tuple(tag.name for tag in tags.tags) if tags else (),
        confidence=first.confidence,
        claims=tuple(claim for each in results for claim in each.claims),
        errors=tuple(errors),
    )
