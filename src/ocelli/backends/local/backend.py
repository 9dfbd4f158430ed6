"""The local backend: all models over one picture, and a description composed from the findings."""

from __future__ import annotations

import asyncio
from functools import cache
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ocelli.backends.local import compose, inventory
from ocelli.backends.local.clock import Clock, Timing
from ocelli.backends.local.colors import dominant_colors
from ocelli.backends.local.models import (
    FaceDetector,
    Model,
    ObjectDetector,
    SafetyClassifier,
    SceneClassifier,
)
from ocelli.backends.local.texts import TextReader
from ocelli.domain.errors import AnalysisFailed, FailureType
from ocelli.domain.findings import Feature, Findings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from ocelli.domain.claims import Check, Claim
    from ocelli.domain.ports import Picture
    from ocelli.domain.questions import Question

# All models but the text reader want less than this, so they share one smaller copy.
VIEW_SIDE = 640


class Models:
    """The models of one process and the lock that gives them to one look at a time."""

    def __init__(self) -> None:
        self.objects = ObjectDetector()
        self.scene = SceneClassifier()
        self.text = TextReader()
        self.safety = SafetyClassifier()
        self.faces = FaceDetector()
        self.lock = Lock()

    def load(self) -> None:
        """Read every model's weights (about a second). FileNotFoundError if some are missing."""
        import cv2

        cv2.setNumThreads(1)
        everyone: tuple[Model, ...] = (
            self.objects, self.scene, self.text, self.safety, self.faces,
        )  # fmt: skip
        for model in everyone:
            model.load()


@cache
def models() -> Models:
    """The models of this process; nothing is read before ``load`` or the first look."""
    return Models()


class LocalBackend:
    """``ocelli.domain.ports.Backend`` without a network.

    ``executor`` runs the blocking part of ``look``; None is the event loop's default. Looks of one
    process take turns, so more threads bring nothing.
    """

    name = "ocelli-local"
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

    def __init__(self, executor: Executor | None = None) -> None:
        self._executor = executor
        self.model_version = f"local-{compose.VERSION}-{inventory.fingerprint()}"

    def load(self) -> None:
        """Warm up. AnalysisFailed if a model cannot be read."""
        with models().lock:
            _load()

    async def look(
        self, picture: Picture, question: Question, *, thorough: bool = False
    ) -> Findings:
        """One look at an upright RGB picture. Raises AnalysisFailed."""
        del question, thorough
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self.look_sync, picture.pixels)

    async def check(
        self,
        picture: Picture,
        claims: Sequence[Claim],
        *,
        description: str,
        question: Question,
        evidence: Findings | None = None,
        thorough: bool = False,
        nth: int = 1,
    ) -> Check:
        """See ports.Backend."""
        raise NotImplementedError

    def look_sync(self, pixels: Any) -> Findings:
        """One look, blocking. ``pixels``: RGB uint8 of shape (height, width, 3), upright, at most
        2,048 a side. Raises AnalysisFailed.
        """
        return self.look_timed(pixels)[0]

    def look_timed(self, pixels: Any) -> tuple[Findings, Timing]:
        """As ``look_sync``, with where the time went (waiting for another look not counted)."""
        with models().lock:
            _check(pixels)
            _load()
            start = perf_counter()
            findings, clock = self._look(pixels)
        return findings, Timing((perf_counter() - start) * 1000, clock.model_ms)

    def _look(self, pixels: Any) -> tuple[Findings, Clock]:
        clock, local, view = Clock(), models(), _shrink(pixels, VIEW_SIDE)
        objects = local.objects.find(view, clock)
        scenes = local.scene.find(view, clock)
        faces = local.faces.find(view, clock)
        safety = local.safety.find(view, clock)
        texts = local.text.find(pixels, clock)
        colors = dominant_colors(view)
        said = compose.compose(
            objects=objects, scenes=scenes, texts=texts, faces=faces, colors=colors, safety=safety
        )
        findings = Findings(
            source=self.name,
            model_version=self.model_version,
            objects=objects,
            scenes=scenes,
            texts=texts,
            faces=faces,
            colors=colors,
            tags=said.tags,
            safety=safety,
            description=said.description,
            confidence=said.confidence,
            model_ms=sum(clock.model_ms.values()),
        )
        return findings, clock


def _load() -> None:
    try:
        models().load()
    except (FileNotFoundError, ImportError) as missing:
        raise AnalysisFailed(
            FailureType.VLM_ERROR, f"The local models are not installed: {missing}", retryable=False
        ) from missing


def _check(pixels: Any) -> None:
    shape: tuple[int, ...] = getattr(pixels, "shape", ())
    dtype = str(getattr(pixels, "dtype", ""))
    if len(shape) != 3 or shape[2] != 3 or 0 in shape or dtype != "uint8":
        raise AnalysisFailed(
            FailureType.VALIDATION,
            f"Expected RGB uint8 pixels, got {dtype or type(pixels).__name__} {shape}",
            retryable=False,
        )


def _shrink(pixels: Any, side: int) -> Any:
    """``pixels``, contiguous, no longer than ``side``; each side at least one pixel."""
    import cv2
    import numpy as np

    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return np.ascontiguousarray(pixels)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
