"""Ask backends about one picture, look again as often as the level says, keep what holds."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

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
    from collections.abc import Sequence

    from ocelli.domain.claims import Claim, ClaimCheck, JudgedClaim
    from ocelli.domain.findings import Findings
    from ocelli.domain.ports_backends import Backend, Backends, Evidence, PictureLike
    from ocelli.domain.questions import Question

log = logging.getLogger(__name__)

VERSION = 1


@dataclass(frozen=True, slots=True)
class _Part:
    """What one backend's answer came to."""

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
    ) -> None:
        self._backends = backends
        self._evidence = evidence
        self._calibration = calibration or Calibration()

    async def answer(
        self, picture: PictureLike, question: Question, level: VerificationLevel
    ) -> AnalysisAnswer:
        """The answer of every backend that is asked.

        Raises AnalysisFailed if none answered; where one did, the others are in ``errors``.
        """
        asked, errors = self._asked(question)
        gathering = asyncio.create_task(self._gather(picture, asked, question))
        try:
            outcomes = await asyncio.gather(
                *(_Asking(self, picture, question, level, b, gathering).part() for b in asked),
                return_exceptions=True,
            )
            evidence = await gathering
        finally:
            gathering.cancel()
        parts: list[_Part] = []
        for backend, outcome in zip(asked, outcomes, strict=True):
            if isinstance(outcome, _Part):
                parts.append(outcome)
            elif isinstance(outcome, AnalysisFailed):
                errors.append(_failure(backend, outcome))
            else:
                raise outcome
        errors += [error for part in parts for error in part.errors]
        if not parts:
            worst = next((each for each in errors if each.retryable), errors[-1])
            raise AnalysisFailed(worst.type, worst.message, retryable=worst.retryable)
        return _together(parts, errors, evidence)

    def roster(self, question: Question) -> tuple[str, ...]:
        """Versions of everything that can have a say: the same roster gives the same answer."""
        asked, _ = self._asked(question)
        return tuple(
            f"{backend.name}={backend.model_version}"
            for first in asked
            for backend in (first, *self.others(first))
        )

    def others(self, first: Backend) -> tuple[Backend, Backend]:
        """Who checks what ``first`` says, and who judges between them."""
        checker = self._backends.checker(first.name)
        return checker, self._backends.checker(first.name, checker.name)

    def _asked(self, question: Question) -> tuple[list[Backend], list[BackendFailure]]:
        """Each backend once. One that is not configured is stood in for by the default one."""
        if not question.backends:
            return [self._backends.default], []
        found: dict[str, Backend] = {}
        missing: list[BackendFailure] = []
        for name in dict.fromkeys(question.backends):
            backend = self._backends.get(name)
            if backend is None:
                backend = self._backends.default
                message = f"{name} is not configured here; {backend.name} was asked instead."
                missing.append(
                    BackendFailure(name, FailureType.VALIDATION, message, retryable=False)
                )
            found.setdefault(backend.name, backend)
        return list(found.values()), missing

    async def _gather(
        self, picture: PictureLike, asked: Sequence[Backend], question: Question
    ) -> Findings | None:
        """None where it would tell nothing new, or cannot be had: evidence is never a must."""
        if self._evidence is None:
            return None
        if question.statement is None and all(b.name == self._evidence.name for b in asked):
            return None
        try:
            return await self._evidence.gather(picture)
        except AnalysisFailed as failed:
            log.warning("no evidence: %s", failed.message)
            return None

    def judged_by_evidence(
        self, claims: Sequence[Claim], found: Findings | None, describer: str | None
    ) -> list[ClaimVerdicts]:
        """What the local models say; nothing about their own words."""
        if self._evidence is None or found is None or describer == self._evidence.name:
            return [ClaimVerdicts() for _ in claims]
        return [ClaimVerdicts(self._evidence.judge(claim, found)) for claim in claims]

    @property
    def calibration(self) -> Calibration:
        """From computed to observed probabilities."""
        return self._calibration


@dataclass(frozen=True, slots=True)
class _Checked:
    """A check, and the positions of the claims that it was about."""

    check: ClaimCheck
    positions: tuple[int, ...]
    task: Task

    @property
    def call(self) -> ModelCall:
        """For the record."""
        check = self.check
        return ModelCall(check.source, check.model_version, self.task, check.tokens, check.model_ms)

    @property
    def contradicted(self) -> set[int]:
        """Positions of the claims that it contradicts."""
        return {
            position
            for position, verdict in zip(self.positions, self.check.verdicts, strict=True)
            if verdict.ruling is Ruling.CONTRADICTED
        }


@dataclass(frozen=True, slots=True)
class _Asking:
    """One backend's way through the levels."""

    engine: Engine
    picture: PictureLike
    question: Question
    level: VerificationLevel
    first: Backend
    gathering: asyncio.Task[Findings | None]

    async def part(self) -> _Part:
        """Raises AnalysisFailed."""
        if self.question.statement is not None:
            return await self._verified(self.question.statement)
        if not self.first.capabilities & self.question.features:
            return _Part(None, (), (), None)
        findings = await self.first.look(
            self.picture, self.question, thorough=self.level is VerificationLevel.THOROUGH
        )
        described = ModelCall(
            findings.source,
            findings.model_version,
            Task.DESCRIBE,
            findings.tokens,
            findings.model_ms,
        )
        if not findings.description:
            return _Part(findings, (), (described,), findings.confidence)
        claims = findings.claims or claims_from_text(findings.description)
        text = findings.description
        checkers = self.engine.others(self.first)[: self.level.looks - 1]
        fate, checks, errors = await self._checked(claims, text, checkers, self.first.name)
        return _Part(
            replace(
                findings,
                description=self._reworded(findings, fate, checks),
                tags=tuple(t for t in findings.tags if tags_without_dropped([t.name], fate)),
                confidence=self._confidence(findings, fate),
            ),
            fate,
            (described, *(each.call for each in checks)),
            self._confidence(findings, fate),
            errors,
        )

    async def _verified(self, statement: str) -> _Part:
        checkers = (self.first, *self.engine.others(self.first))[: self.level.looks]
        fate, checks, errors = await self._checked(
            claims_from_text(statement), statement, checkers, None
        )
        if not checks:
            failed = errors[0]
            raise AnalysisFailed(failed.type, failed.message, retryable=failed.retryable)
        sure = confidence(fate, self.engine.calibration)
        return _Part(None, fate, tuple(each.call for each in checks), sure, errors)

    async def _checked(
        self, claims: Sequence[Claim], text: str, checkers: Sequence[Backend], describer: str | None
    ) -> tuple[tuple[JudgedClaim, ...], list[_Checked], tuple[BackendFailure, ...]]:
        """Every claim after every look. A checker that fails is a look less, not an answer less."""
        evidence = await asyncio.shield(self.gathering)
        seen = self.engine.judged_by_evidence(claims, evidence, describer)
        checks: list[_Checked] = []
        errors = []
        for nth, backend in enumerate(checkers, 1):
            judges = (
                self.level is VerificationLevel.CRITICAL and nth == len(checkers) and bool(checks)
            )
            positions = to_judge(seen) if judges else range(len(claims))
            try:
                check = await backend.check(
                    self.picture,
                    [claims[i] for i in positions],
                    description=text,
                    question=self.question,
                    evidence=evidence,
                    thorough=self.level is VerificationLevel.THOROUGH,
                    nth=nth,
                )
            except AnalysisFailed as failed:
                errors.append(_failure(backend, failed))
                continue
            seen = _with(seen, positions, check)
            checks.append(_Checked(check, tuple(positions), Task.JUDGE if judges else Task.CHECK))
        calibration = self.engine.calibration
        fate = judged(claims, seen, describer=describer, calibration=calibration)
        return fate, checks, tuple(errors)

    def _reworded(
        self, findings: Findings, fate: Sequence[JudgedClaim], looks: Sequence[_Checked]
    ) -> str:
        """Without what was dropped.

        In the describer's words if it needs no look for them, else in those of a backend that
        looked and leaves out exactly that, else sentence by sentence.
        """
        text = findings.description or ""
        dropped = {position for position, each in enumerate(fate) if not each.kept}
        if not dropped:
            return text
        claims = [fate[position].claim for position in dropped]
        own = self.first.reword(findings, claims, self.question)
        if own is not None:
            return own
        for look in reversed(looks):
            if look.check.revised and look.contradicted == dropped:
                return look.check.revised
        return without_dropped(text, fate)

    def _confidence(self, findings: Findings, fate: tuple[JudgedClaim, ...]) -> float | None:
        """Nothing claimed: what the describer says of that."""
        sure = confidence(fate, self.engine.calibration)
        return findings.confidence if sure is None else sure


def answer_key(
    picture: bytes, question: Question, level: VerificationLevel, roster: Sequence[str]
) -> bytes:
    """The same key, the same answer: content, question, level, and every backend with a say.

    ``roster`` pins the models and their prompts, the versions here the rules.
    """
    asked = (
        sorted(question.features), question.role, question.language, question.prompt,
        question.backends, question.statement, level, tuple(roster), VERSION, RULES_VERSION,
    )  # fmt: skip
    return hashlib.sha256(hashlib.sha256(picture).digest() + repr(asked).encode()).digest()


def _failure(backend: Backend, failed: AnalysisFailed) -> BackendFailure:
    return BackendFailure(backend.name, failed.type, failed.message, failed.retryable)


def _with(
    seen: Sequence[ClaimVerdicts], positions: Sequence[int], check: ClaimCheck
) -> list[ClaimVerdicts]:
    changed = list(seen)
    for position, verdict in zip(positions, check.verdicts, strict=True):
        changed[position] = replace(seen[position], looks=(*seen[position].looks, verdict))
    return changed


def _together(
    parts: Sequence[_Part], errors: Sequence[BackendFailure], evidence: Findings | None
) -> AnalysisAnswer:
    """The first answer speaks for all where there can be only one.

    Text that no backend reads is what the local models read.
    """
    said = [each.findings for each in parts if each.findings is not None]
    first = parts[0]
    words = next((each for each in said if each.description), None)
    texts = next((each for each in said if each.visible_text), evidence)
    tags = next((each for each in said if each.tags), None)
    return AnalysisAnswer(
        findings=tuple(said),
        calls=tuple(call for each in parts for call in each.calls),
        description=words.description if words else None,
        visible_text=text_without_dropped(texts.visible_text, first.claims) if texts else None,
        tags=tuple(tag.name for tag in tags.tags) if tags else (),
        confidence=first.confidence,
        claims=tuple(claim for each in parts for claim in each.claims),
        errors=tuple(errors),
    )
