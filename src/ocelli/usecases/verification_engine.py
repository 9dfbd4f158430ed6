"""The verification levels: describe a picture, check the claims, keep those that hold."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from typing import TYPE_CHECKING, TypeVar

from ocelli.domain.analysis import AnalysisAnswer, BackendFailure, VerificationLevel
from ocelli.domain.errors import AnalysisFailed, FailureType
from ocelli.domain.tagging import Tagging
from ocelli.domain.verification import (
    VERSION as RULES_VERSION,
)
from ocelli.domain.verification import Calibration, ClaimVerdicts, text_without_dropped
from ocelli.usecases.backend_run import BackendResult, BackendRun, failure_of, offered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from ocelli.domain.claims import Claim
    from ocelli.domain.findings import Findings
    from ocelli.domain.ports_backends import Backend, Backends, Evidence, PictureLike, SightGate
    from ocelli.domain.questions import Question
    from ocelli.usecases.open_vocabulary import OpenVocabulary

T = TypeVar("T")

log = logging.getLogger(__name__)

VERSION = 1


class Engine:
    """What a verification level is; ``BackendRun`` does it with each backend.

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
                    BackendRun(
                        self, picture, question, level, b, evidence_task, vocabulary
                    ).result()
                    for b in backends
                ),
                return_exceptions=True,
            )
            evidence = await evidence_task
        finally:
            evidence_task.cancel()
        results: list[BackendResult] = []
        for backend, outcome in zip(backends, outcomes, strict=True):
            if isinstance(outcome, BackendResult):
                results.append(outcome)
            elif isinstance(outcome, AnalysisFailed):
                errors.append(failure_of(backend, outcome))
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
                *(first for _ in offered(first, vocabulary)[1:]),
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


def _merged(
    results: Sequence[BackendResult],
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


def _tagging(results: Sequence[BackendResult], vocabulary: OpenVocabulary | None) -> Tagging | None:
    """Return the tags of the first backend that chose any."""
    if vocabulary is None:
        return None
    asked = vocabulary.asked
    chosen = next((each.chosen for each in results if each.chosen), ())
    return Tagging(asked.name, asked.digest, asked.mode, chosen)
