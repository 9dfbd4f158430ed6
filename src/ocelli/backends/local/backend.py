"""The local backend: all models over one picture, and a description composed from the findings."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from ocelli.backends.local import compose, evidence_verdicts, model_files
from ocelli.backends.local.augmentations import Augmentation
from ocelli.backends.local.detect import Detections, detect, is_long, models, see_again
from ocelli.backends.local.recheck import can_change, recheck
from ocelli.backends.local.runtime import Runtime
from ocelli.backends.local.stopwatch import Stopwatch, Timing
from ocelli.domain.claims import ClaimCheck
from ocelli.domain.errors import AnalysisFailed, FailureType
from ocelli.domain.findings import LOCAL, Feature, Findings
from ocelli.domain.languages import DEFAULT
from ocelli.domain.questions import Role
from ocelli.domain.tracing import span
from ocelli.media.decode import checked_header, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor

    from ocelli.domain.claims import Claim, JudgedClaim, Verdict
    from ocelli.domain.ports_backends import PictureLike
    from ocelli.domain.questions import Question

T = TypeVar("T")

# A thorough look goes so far into detail. Decoding has limited the size of the picture already.
FULL_SIDE = 4096
LONG_WIDTH, LONGEST_SIDE = 1080, 20_000  # a screenshot of many screens
MAX_PIXELS = 1_000_000_000
IDLE_SECONDS = 1.0  # without a look, after which memory is given back
_NOTHING = Detections(), Stopwatch()


class LocalBackend:
    """``Backend`` and ``Evidence`` of ``ocelli.domain.ports_backends`` without a network.

    ``executor`` runs the blocking part; None is the event loop's default. Looks of one process take
    turns, so more threads bring nothing. ``runtime`` is that of the backend which loads first.
    """

    name = LOCAL
    capabilities = frozenset(
        {
            Feature.DESCRIPTIONS,
            Feature.TAGS,
            Feature.COLORS,
            Feature.FACES,
            Feature.TEXTS,
            Feature.NSFW,
        }
    )

    def __init__(self, executor: Executor | None = None, runtime: Runtime | None = None) -> None:
        self._executor = executor
        self._runtime = runtime or Runtime()
        self._running = 0
        self._rest: asyncio.TimerHandle | None = None
        self.model_version = f"local-{compose.VERSION}-{model_files.fingerprint()}"

    def load(self) -> None:
        """Warm up. AnalysisFailed if a model cannot be read."""
        with _read():
            models().load(self._runtime)

    def begin_loading(self) -> None:
        """Warm up while others go on; looks wait for what they use. AnalysisFailed if a model is
        missing.
        """
        with _read():
            models().begin_loading(self._runtime)

    async def look(
        self, picture: PictureLike, question: Question, *, thorough: bool = False
    ) -> Findings:
        """Describe in English for the question's role. A prompt cannot be followed, so it gets the
        usual description, and the findings say so. Raises AnalysisFailed.
        """
        role = _role(question)

        def look() -> Findings:
            found = self._described(*self._sight(picture, thorough=thorough), role)
            return replace(found, ignored=_ignored(question))

        return await self._run("describe", look)

    async def check(
        self,
        picture: PictureLike,
        claims: Sequence[Claim],
        *,
        description: str,
        question: Question,
        evidence: Findings | None = None,
        thorough: bool = False,
        nth: int = 1,
    ) -> ClaimCheck:
        """Look at another view. Of our own claims only what it can change is looked at again.

        Raises AnalysisFailed.
        """
        del description, question, evidence
        view = Augmentation.of(nth)

        def check() -> ClaimCheck:
            if all(claim.belief is not None for claim in claims):
                sight, clock = self._seen_again(picture, view) if can_change(claims) else _NOTHING
            else:
                sight, clock = self._sight(picture, thorough=thorough, view=view, every_color=True)
            seen = self._findings(sight, clock)
            verdicts = tuple(recheck(claim, seen) for claim in claims)
            return ClaimCheck(self.name, self.model_version, verdicts, model_ms=seen.model_ms)

        return await self._run("check", check)

    def confidence(self, claims: Sequence[JudgedClaim]) -> float | None:
        """See ports_backends.Backend."""
        looks = max((len(each.verdicts) for each in claims), default=0) + 1
        kept = [(each.claim, each.probability) for each in claims if each.kept]
        return compose.confidence(kept, looks=looks)

    def reword(
        self, findings: Findings, dropped: Sequence[Claim], question: Question
    ) -> str | None:
        """See ports_backends.Backend."""
        return compose.recompose(findings, dropped, _role(question))

    async def gather(self, picture: PictureLike) -> Findings:
        """All that the models find, down to traces of colours, and no description."""
        return await self._run(
            "evidence", lambda: self._findings(*self._sight(picture, every_color=True))
        )

    def judge(self, claim: Claim, findings: Findings) -> Verdict | None:
        """See ``judging``."""
        return evidence_verdicts.judge(claim, findings)

    def look_sync(self, pixels: Any) -> Findings:
        """One look, blocking. ``pixels``: RGB uint8 of shape (height, width, 3), upright, at most
        2,048 a side. Raises AnalysisFailed.
        """
        return self.look_timed(pixels)[0]

    def look_timed(self, pixels: Any) -> tuple[Findings, Timing]:
        """As ``look_sync``, with where the time went (waiting for another look not counted)."""
        with models().lock:
            _check(pixels)
            self.load()
            start, clock = perf_counter(), Stopwatch()
            findings = self._described(detect(pixels, clock), clock, Role.GENERAL)
        return findings, Timing((perf_counter() - start) * 1000, clock.model_ms)

    async def _run(self, look: str, work: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        self._running += 1
        if self._rest is not None:
            self._rest.cancel()
        try:
            attributes = {"ocelli.backend": self.name, "ocelli.look": look}
            with span(f"{look} {self.name}", attributes=attributes):
                return await loop.run_in_executor(self._executor, work)
        finally:
            self._running -= 1
            if not self._running:
                self._rest = loop.call_later(IDLE_SECONDS, self._give_back, loop)

    def _give_back(self, loop: asyncio.AbstractEventLoop) -> None:
        def rest() -> None:
            with models().lock:
                models().rest()

        with suppress(RuntimeError):  # the executor ends, and its process
            loop.run_in_executor(self._executor, rest)

    def _sight(
        self, picture: PictureLike, *, thorough: bool = False, **options: Any
    ) -> tuple[Detections, Stopwatch]:
        pixels, clock = picture.pixels, Stopwatch()
        with models().lock, _read():
            _check(pixels)
            models().begin_loading(self._runtime)
            full = _full(picture) if thorough else None
            page = _full(picture) if is_long(pixels) and full is None else full
            return detect(pixels, clock, full=full, page=page, **options), clock

    def _seen_again(self, picture: PictureLike, view: Augmentation) -> tuple[Detections, Stopwatch]:
        clock = Stopwatch()
        with models().lock, _read():
            _check(picture.pixels)
            models().begin_loading(self._runtime)
            return see_again(picture.pixels, clock, view), clock

    def _findings(self, sight: Detections, clock: Stopwatch) -> Findings:
        return Findings(
            source=self.name,
            model_version=self.model_version,
            objects=sight.objects,
            scenes=sight.scenes,
            texts=sight.texts,
            faces=sight.faces,
            colors=sight.colors,
            safety=sight.safety,
            model_ms=sum(clock.model_ms.values()),
        )

    def _described(self, sight: Detections, clock: Stopwatch, role: Role) -> Findings:
        findings = self._findings(sight, clock)
        said = compose.describe(findings, role)
        return replace(
            findings,
            tags=said.tags,
            description=said.description,
            confidence=said.confidence,
            claims=said.claims,
        )


@contextmanager
def _read() -> Iterator[None]:
    """Models are read in the block: AnalysisFailed if one cannot be."""
    try:
        yield
    except (FileNotFoundError, ImportError) as missing:
        raise AnalysisFailed(
            FailureType.VLM_ERROR,
            f"The local models are not installed: {missing}",
            retryable=False,
        ) from missing
    except model_files.WrongWeights as wrong:
        raise AnalysisFailed(FailureType.VLM_ERROR, str(wrong), retryable=False) from wrong


def _full(picture: PictureLike) -> Any:
    """The picture at full resolution, up to ``FULL_SIDE``, or ``LONG_WIDTH`` across a long one."""
    header = checked_header(picture.data, max_pixels=MAX_PIXELS)
    if max(header.width, header.height) <= max(picture.pixels.shape[:2]):
        return picture.pixels
    shorter, longer = sorted((header.width, header.height))
    side = min(max(FULL_SIDE, LONG_WIDTH * longer // shorter), LONGEST_SIDE)
    return decode(picture.data, max_side=side, max_pixels=MAX_PIXELS).pixels


def _check(pixels: Any) -> None:
    shape: tuple[int, ...] = getattr(pixels, "shape", ())
    dtype = str(getattr(pixels, "dtype", ""))
    if len(shape) != 3 or shape[2] != 3 or 0 in shape or dtype != "uint8":
        raise AnalysisFailed(
            FailureType.VALIDATION,
            f"Expected RGB uint8 pixels, got {dtype or type(pixels).__name__} {shape}",
            retryable=False,
        )


def _ignored(question: Question) -> tuple[str, ...]:
    """Return the fields of the question that make no difference here."""
    asked = {"prompt": bool(question.prompt), "language": question.language != DEFAULT}
    return tuple(name for name, differs in asked.items() if differs)


def _role(question: Question) -> Role:
    """A prompt takes the place of a role, and is nothing that these models can follow."""
    return Role.GENERAL if question.prompt else question.role
