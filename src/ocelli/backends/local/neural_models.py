"""The neural models, one class each: pixels in, a typed result of ``domain.findings`` out.

All take RGB uint8 arrays of shape (height, width, 3). Loading is explicit, happens once and imports
the runtime; every model runs on one thread, because workers scale by processes. None is
thread-safe, except that any thread may load it.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar

from ocelli.backends.local import model_files, network_builders
from ocelli.backends.local.boxes import ssd, yunet
from ocelli.backends.local.fusion import FLOOR
from ocelli.backends.local.lexicon import lexicon
from ocelli.backends.local.runtime import Precision, Runtime
from ocelli.domain.findings import Box, DetectedObject, Face, Safety

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ocelli.backends.local.model_files import Weights
    from ocelli.backends.local.runtime import Network
    from ocelli.backends.local.stopwatch import Stopwatch

FACE_SCORE = 0.85
CELL = 32  # sides of what the face detector is shown are multiples of this


class NeuralModel:
    """What the models share: a name in the inventory, and loading once."""

    name: ClassVar[str]

    def __init__(self) -> None:
        self.runtime: Runtime | None = None
        self._ready = False
        self._loading = Lock()
        self._networks: list[Network] = []

    def load(self) -> None:
        """Read the weights if that has not happened yet, for ``runtime`` or the default one.

        Waits for another thread that does. FileNotFoundError if they are missing, WrongWeights if
        they are not the pinned ones.
        """
        if self._ready:
            return
        with self._loading:
            if not self._ready:
                self._load(self.runtime or Runtime(), model_files.weights(self.name))
                self._ready = True
                model_files.mark_loaded(self.name)

    def release(self) -> None:
        """Give up the memory of the last call."""
        for network in self._networks:
            network.release()

    def _network_of(
        self,
        runtime: Runtime,
        name: str,
        weights: Weights,
        build: Callable[[Any, Path], Any],
        *,
        precision: Precision | None = None,
    ) -> Network:
        network = runtime.network(name, weights, build, precision=precision)
        self._networks.append(network)
        return network

    def _load(self, runtime: Runtime, weights: Sequence[Weights]) -> None:
        raise NotImplementedError


class ObjectDetector(NeuralModel):
    """SSD MobileNet v2 on COCO's 80 classes, at 300 x 300 or 448 x 448 pixels.

    The larger size finds smaller things and takes twice as long; scores of one size say nothing
    about those of the other.
    """

    name = "objects"

    def _load(self, runtime: Runtime, weights: Sequence[Weights]) -> None:
        (graph,) = weights
        self._network = self._network_of(  # in bf16 more of what it names is not there
            runtime, self.name, graph, network_builders.objects, precision=Precision.F32
        )

    def find(self, pixels: Any, clock: Stopwatch, *, size: int = 300) -> tuple[DetectedObject, ...]:
        """Things with a score of at least ``fusion.FLOOR``, best first; see ``fusion`` for what
        these mean.

        ``size``: side of the square that the network is shown, a multiple of 64 or 300.
        """
        import cv2

        self.load()
        square = cv2.resize(pixels, (size, size), interpolation=cv2.INTER_LINEAR)
        with clock(self.name):
            heads = self._network(square[None])
        names = lexicon().objects
        rows = zip(*(each.tolist() for each in ssd(heads, least=FLOOR)), strict=True)
        return tuple(
            DetectedObject(names[number], score, _box(*box))
            for number, score, box in rows
            if number in names
        )


class SceneClassifier(NeuralModel):
    """EfficientNet-Lite3 int8 on ImageNet's 1,000 classes, 280 x 280 pixels."""

    name = "scene"

    def _load(self, runtime: Runtime, weights: Sequence[Weights]) -> None:
        (path,) = weights
        self._network = self._network_of(  # bf16 is not faster where activations are 8-bit
            runtime, self.name, path, network_builders.scene, precision=Precision.F32
        )

    def find(self, pixels: Any, clock: Stopwatch) -> list[float]:
        """The score of every class; they sum up to 1."""
        self.load()
        crop = _center_crop(pixels, share=0.875, size=280)
        with clock(self.name):
            (scores,) = self._network(crop[None])
        scores_of_classes: list[float] = scores[0].tolist()
        return scores_of_classes


class SafetyClassifier(NeuralModel):
    """Yahoo's open_nsfw, 224 x 224 pixels."""

    name = "safety"

    def _load(self, runtime: Runtime, weights: Sequence[Weights]) -> None:
        (path,) = weights
        self._network = self._network_of(runtime, self.name, path, network_builders.safety)

    def find(self, pixels: Any, clock: Stopwatch) -> Safety:
        """The probability that the picture is not safe for work."""
        import cv2
        import numpy as np

        self.load()
        whole = cv2.resize(pixels, (256, 256), interpolation=cv2.INTER_AREA)
        crop = np.ascontiguousarray(whole[16:240, 16:240])
        with clock(self.name):
            (scores,) = self._network(crop[None])
        return Safety(nsfw=float(scores[0, 1]))


class FaceDetector(NeuralModel):
    """YuNet. It finds places of faces; nothing here tells whose they are."""

    name = "faces"

    def _load(self, runtime: Runtime, weights: Sequence[Weights]) -> None:
        (path,) = weights
        self._network = self._network_of(runtime, self.name, path, network_builders.faces)

    def find(self, pixels: Any, clock: Stopwatch) -> tuple[Face, ...]:
        """Faces with a score of at least ``FACE_SCORE``, best first."""
        import cv2

        self.load()
        height, width = pixels.shape[:2]
        edges = (0, -height % CELL, 0, -width % CELL)
        padded = cv2.copyMakeBorder(pixels, *edges, cv2.BORDER_CONSTANT, value=0)
        with clock(self.name):
            outputs = self._network(padded[None])
        scores, boxes = yunet(outputs, padded.shape[1], least=FACE_SCORE)
        return tuple(
            Face(score, _box(left / width, top / height, right / width, bottom / height))
            for score, (left, top, right, bottom) in zip(
                scores.tolist(), boxes.tolist(), strict=True
            )
        )


def shares(scores: Sequence[float]) -> dict[str, float]:
    """ImageNet's 1,000 scores by noun: classes of one name add up, groups say their parent too.

    A parent noun is listed besides its members, with the sum of *all* its classes: twenty dog
    breeds at 0.04 each are good evidence of a dog.
    """
    words = lexicon()
    totals: dict[str, float] = {}
    groups: dict[str, float] = {}
    for name, score in zip(words.scenes, scores, strict=True):
        totals[name] = totals.get(name, 0.0) + score
        noun = words.parent(name) or name
        groups[noun] = groups.get(noun, 0.0) + score
    totals.update(groups)
    return {noun: min(share, 1.0) for noun, share in totals.items()}


def _center_crop(pixels: Any, *, share: float, size: int) -> Any:
    """The middle square, ``share`` of the shorter side, as (size, size, 3)."""
    import cv2

    height, width = pixels.shape[:2]
    side = max(1, int(min(height, width) * share))
    top, left = (height - side) // 2, (width - side) // 2
    square = pixels[top : top + side, left : left + side]
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)


def _box(left: float, top: float, right: float, bottom: float) -> Box:
    """A box cut to the picture."""
    left, top, right, bottom = (min(max(edge, 0.0), 1.0) for edge in (left, top, right, bottom))
    return Box(left, top, max(left, right), max(top, bottom))
