"""All models over one view of a picture: what each finds, before anything is said about it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

from ocelli.backends.local.augmentations import (
    Augmentation,
    AugmentedView,
    shown,
    shown_to_read,
    tiles,
)
from ocelli.backends.local.colors import dominant_colors
from ocelli.backends.local.models import (
    OBJECT_SCORE,
    FaceDetector,
    NeuralModel,
    ObjectDetector,
    SafetyClassifier,
    SceneClassifier,
    distinct,
)
from ocelli.backends.local.shapes import find_shapes, is_unnamed
from ocelli.backends.local.text_reader import TextReader, reading_order
from ocelli.domain.findings import DetectedObject, Face, TextLine

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ocelli.backends.local.runtime import Runtime
    from ocelli.backends.local.stopwatch import Stopwatch
    from ocelli.domain.findings import Box, Color, Safety, SceneLabel

# All models but the text reader want less than this, so they share one smaller copy.
VIEW_SIDE = 640
# A thing in a tile is a small thing that the whole picture did not show; a detector sees parts of
# large things as other things, so it must be sure, whole, and small.
TILE_SCORE, TILE_EDGE, TILE_AREA = 0.8, 0.02, 0.2
TILE_SHARE = 0.6  # of the longer side: four tiles, or two of a panorama
SMALLEST_TILED = 960
# The text reader's own limit is 960; three tiles a side bound what a huge picture costs.
TEXT_TILE, TEXT_TILES = 960, 3
# A picture that is so much longer than wide is read in squares.
LONG = 3
SAME_LINE = 0.5
IN_GRAPHICS, SAME_PLACE = 0.85, 0.5


class ModelSet:
    """The models of one process and the lock that gives them to one look at a time."""

    def __init__(self) -> None:
        self.objects = ObjectDetector()
        self.scene = SceneClassifier()
        self.text = TextReader()
        self.safety = SafetyClassifier()
        self.faces = FaceDetector()
        self.lock = Lock()

    def load(self, runtime: Runtime) -> None:
        """Read every model's weights. FileNotFoundError or inventory.WrongWeights if some are
        missing or are not the pinned ones.
        """
        import cv2

        cv2.setNumThreads(1)
        everyone: tuple[NeuralModel, ...] = (
            self.objects, self.scene, self.text, self.safety, self.faces,
        )  # fmt: skip
        for model in everyone:
            model.load(runtime)


@cache
def models() -> ModelSet:
    """The models of this process; nothing is read before ``load`` or the first look."""
    return ModelSet()


@dataclass(frozen=True, slots=True)
class Detections:
    """What the models found in one view; boxes are those of the upright picture."""

    objects: tuple[DetectedObject, ...]
    scenes: tuple[SceneLabel, ...]
    texts: tuple[TextLine, ...]
    faces: tuple[Face, ...]
    colors: tuple[Color, ...]
    safety: Safety


def detect(
    pixels: Any,
    clock: Stopwatch,
    *,
    view: Augmentation = Augmentation.PLAIN,
    full: Any = None,
    page: Any = None,
    least: float = OBJECT_SCORE,
    every_color: bool = False,
) -> Detections:
    """Look at RGB uint8 ``pixels``, upright. The caller holds the models' lock.

    With ``full``, the same picture at full resolution, small things and small text are searched in
    tiles of it too; with ``page``, only small text. Things are given from the score ``least`` on.
    """
    local, small = models(), shrunk(pixels, VIEW_SIDE)
    whole = shown(small, view)
    faces = local.faces.find(whole.pixels, clock)
    texts = _texts(pixels, full if page is None else page, view, clock)
    shapes = _shapes(small, view, texts)
    return Detections(
        objects=_beside(_objects(whole, full, view, clock, least), shapes),
        scenes=local.scene.find(whole.pixels, clock),
        texts=texts,
        faces=tuple(Face(face.score, whole.restore(face.box)) for face in faces),
        colors=dominant_colors(small, every=every_color),
        safety=local.safety.find(whole.pixels, clock),
    )


def is_long(pixels: Any) -> bool:
    """Whether a copy of usual size would leave too little of its width to read."""
    shorter, longer = sorted(pixels.shape[:2])
    return bool(longer > LONG * shorter)


def shrunk(pixels: Any, side: int) -> Any:
    """``pixels``, contiguous, no longer than ``side``; each side at least one pixel."""
    import cv2
    import numpy as np

    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return np.ascontiguousarray(pixels)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def _objects(
    whole: AugmentedView, full: Any, view: Augmentation, clock: Stopwatch, least: float
) -> tuple[DetectedObject, ...]:
    detector = models().objects
    found = _restored(whole, detector.find(whole.pixels, clock, least=least))
    if full is None or max(full.shape[:2]) < SMALLEST_TILED:
        return tuple(found)
    side = int(max(full.shape[:2]) * TILE_SHARE)
    for tile in tiles(shown(full, view), side):
        seen = detector.find(shrunk(tile.pixels, VIEW_SIDE), clock, least=min(TILE_SCORE, least))
        inside = [one for one in seen if _is_whole(one.box)]
        found += [
            one
            for one in _restored(tile, inside)
            if one.box.area <= TILE_AREA and (one.score >= TILE_SCORE or least < OBJECT_SCORE)
        ]
    return distinct(found)


def _shapes(
    small: Any, view: Augmentation, texts: Sequence[TextLine]
) -> tuple[DetectedObject, ...]:
    """Never the closer view, which would cut off those at the edge: another scale instead."""
    page = shown_to_read(small, view) if view is Augmentation.CLOSER else shown(small, view)
    lines = [TextLine(line.text, line.score, page.within(line.box)) for line in texts]
    return tuple(_restored(page, find_shapes(page.pixels, lines)))


def _beside(
    things: tuple[DetectedObject, ...], shapes: tuple[DetectedObject, ...]
) -> tuple[DetectedObject, ...]:
    """What the detector sees in graphics must be sure, and be something else than a shape.

    It learnt from photos, and takes a drawn circle for a frisbee, a clock or an orange.
    """
    if not shapes:
        return things
    kept = [
        thing
        for thing in things
        if thing.score >= IN_GRAPHICS
        and not any(_covered(thing.box, shape.box) > SAME_PLACE for shape in shapes)
    ]
    drawn = [
        shape
        for shape in shapes
        if not is_unnamed(shape.name)
        or not any(_covered(shape.box, thing.box) > SAME_PLACE for thing in kept)
    ]
    return (*kept, *drawn)


def _texts(pixels: Any, full: Any, view: Augmentation, clock: Stopwatch) -> tuple[TextLine, ...]:
    reader = models().text
    lines: list[TextLine] = []
    if full is None or not is_long(full):
        lines = _read(shown_to_read(pixels, view), reader, clock)
    if full is None:
        return tuple(lines)
    page = shown_to_read(full, view)
    shorter, longer = sorted(page.pixels.shape[:2])
    side = max(TEXT_TILE, shorter if is_long(full) else -(-longer // TEXT_TILES))
    if side >= longer and not lines:
        return tuple(_read(page, reader, clock))
    for tile in tiles(page, side):
        lines += _read(tile, reader, clock)
    return tuple(reading_order(_distinct_lines(lines)))


def _read(page: AugmentedView, reader: TextReader, clock: Stopwatch) -> list[TextLine]:
    return [
        TextLine(line.text, line.score, page.restore(line.box))
        for line in reader.find(page.pixels, clock)
    ]


def _distinct_lines(lines: Iterable[TextLine]) -> list[TextLine]:
    """Each line once: of those that share a place, the longest, as tiles cut lines off."""
    kept: list[TextLine] = []
    for line in sorted(lines, key=lambda line: (-len(line.text), -line.score)):
        if not any(_covered(line.box, other.box) >= SAME_LINE for other in kept):
            kept.append(line)
    return kept


def _covered(box: Box, other: Box) -> float:
    """The share of the smaller box that lies in the other one."""
    width = min(box.right, other.right) - max(box.left, other.left)
    height = min(box.bottom, other.bottom) - max(box.top, other.top)
    smaller = min(box.area, other.area)
    return max(width, 0.0) * max(height, 0.0) / smaller if smaller > 0 else 0.0


def _restored(showing: AugmentedView, found: Sequence[DetectedObject]) -> list[DetectedObject]:
    return [DetectedObject(one.name, one.score, showing.restore(one.box)) for one in found]


def _is_whole(box: Box) -> bool:
    """Whether nothing of the thing can lie beyond its tile: it keeps off all edges."""
    edges = (box.left, box.top, 1 - box.right, 1 - box.bottom)
    return min(edges) > TILE_EDGE
