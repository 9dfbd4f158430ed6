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
from ocelli.domain.findings import Tag
from ocelli.domain.ports_backends import ChoosesTags
from ocelli.domain.sentences import claims_from_text, sentences
from ocelli.domain.tagging import JudgedTag, TagCandidates, Tagging, candidates, offering
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
    from ocelli.usecases.open_vocabulary import OpenVocabulary

T = TypeVar("T")

log = logging.getLogger(__name__)

VERSION = 1
OFFERED = 0.9  # the score of a tag that a model chose from a list; no model measures it


@dataclass(frozen=True, slots=True)
class _BackendResult:
    """The verified answer of one backend."""

    findings: Findings | None
    claims: tuple[JudgedClaim, ...]
    calls: tuple[ModelCall, ...]
    confidence: float | None
    errors: tuple[BackendFailure, ...] = ()
    chosen: tuple[JudgedTag, ...] = ()


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
    look and costs none. Tags of a vocabulary are checked in the same looks as claims; of one that
    is too long for one look of a backend, each further part is a look more.
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
        self,
        picture: PictureLike,
        question: Question,
        level: VerificationLevel,
        vocabulary: OpenVocabulary | None = None,
    ) -> AnalysisAnswer:
        """Return the answers of all requested backends as one, with tags from ``vocabulary``.

        Raises AnalysisFailed if none answered; where one did, the others are in ``errors``.
        """
        backends, errors = self._requested_backends(question)
        evidence_task = asyncio.create_task(self._gather(picture, backends, question))
        try:
            outcomes = await asyncio.gather(
                *(
                    _BackendRun(
                        self, picture, question, level, b, evidence_task, vocabulary
                    ).result()
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
        if vocabulary is not None and vocabulary.problem is not None:
            errors.append(vocabulary.problem)
        return _merged(results, errors, evidence, vocabulary)

    def roster(
        self, question: Question, vocabulary: OpenVocabulary | None = None
    ) -> tuple[str, ...]:
        """Return the versions of all that determines the answer: the models that can take part, and
        the terms.
        """
        backends, _ = self._requested_backends(question)
        terms = () if vocabulary is None else (vocabulary.version,)
        return terms + tuple(
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

    def planned_calls(
        self,
        question: Question,
        level: VerificationLevel,
        vocabulary: OpenVocabulary | None = None,
    ) -> tuple[str, ...]:
        """Return the backend of each model call that an answer takes at most, in their order."""
        backends, _ = self._requested_backends(question)
        return tuple(
            backend.name
            for first in backends
            for backend in (
                *(first for _ in _offered(first, vocabulary)[1:]),
                *(first, *self.checkers_of(first))[: level.looks],
            )
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
    vocabulary: OpenVocabulary | None

    async def result(self) -> _BackendResult:
        """Return the verified answer. Raises AnalysisFailed."""
        if self.question.statement is not None:
            return await self._verified(self.question.statement)
        if not self.first.capabilities & self.question.features:
            return _BackendResult(None, (), (), None)
        findings, calls, failures = await self._described()
        text = findings.description or ""
        claims = findings.claims or claims_from_text(text)
        tags = await self._candidates(findings, claims)
        if not text and not tags.claims:
            return _BackendResult(findings, (), calls, findings.confidence, failures)
        checkers = self.engine.checkers_of(self.first)[: self.level.looks - 1] if text else ()
        judged_all, checks, errors = await self._checked(
            (*claims, *tags.claims), text, checkers, self.first.name, own=len(claims)
        )
        judged_claims = judged_all[: len(claims)]
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
        parts = _offered(first, vocabulary)
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
                failures.append(_failure(first, outcome))
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
        offered = isinstance(self.first, ChoosesTags)
        words = [each.name for each in findings.tags]
        said = () if offered else sentences(findings.description or "")
        choice = await vocabulary.choose(words, said, offered=offered)
        return await asyncio.to_thread(
            candidates, findings, claims, choice.tags, vocabulary.index.named_in
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


def _offered(backend: Backend, vocabulary: OpenVocabulary | None) -> Sequence[Sequence[str]]:
    """Return the terms in the parts in which the backend is offered them; none if it cannot be."""
    if vocabulary is None or not isinstance(backend, ChoosesTags):
        return ()
    return backend.parts(vocabulary.index.paths)


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
    results: Sequence[_BackendResult],
    errors: Sequence[BackendFailure],
    evidence: Findings | None,
    vocabulary: OpenVocabulary | None,
) -> AnalysisAnswer:
    """Merge the answers: description, text and tags are those of the first that has any.

    Text that no backend read is taken from the evidence.
    """
    findings = [each.findings for each in results if each.findings is not None]
    first = results[0]
    words = next((each for each in findings if each.description), None)
    texts = next((each for each in findings if each.visible_text), evidence)
    tags = next((tuple(t.name for t in each.tags) for each in findings if each.tags), ())
    tagging = _tagging(results, vocabulary)
    return AnalysisAnswer(
        findings=tuple(findings),
        calls=tuple(call for each in results for call in each.calls),
        description=words.description if words else None,
        visible_text=text_without_dropped(texts.visible_text, first.claims) if texts else None,
        tags=tags if tagging is None else tagging.kept,
        confidence=first.confidence,
        claims=tuple(claim for each in results for claim in each.claims),
        errors=tuple(errors),
        tagging=tagging,
    )


def _tagging(
    results: Sequence[_BackendResult], vocabulary: OpenVocabulary | None
) -> Tagging | None:
    """Return the tags of the first backend that chose any."""
    if vocabulary is None:
        return None
    asked = vocabulary.asked
    chosen = next((each.chosen for each in results if each.chosen), ())
    return Tagging(asked.name, asked.digest, asked.mode, chosen)
