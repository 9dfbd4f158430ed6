"""All models over one view of a picture: what they find, before anything is said about it."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, wraps
from threading import Lock
from typing import TYPE_CHECKING, Any, ParamSpec

from ocelli.backends.local.augmentations import (
    Augmentation,
    AugmentedView,
    shown,
    shown_to_read,
    tiles,
)
from ocelli.backends.local.colors import dominant_colors
from ocelli.backends.local.fusion import OBJECT_SCORE, distinct, fused
from ocelli.backends.local.media import BAR_CHART, DRAWN, medium
from ocelli.backends.local.model_files import weights
from ocelli.backends.local.neural_models import (
    FaceDetector,
    NeuralModel,
    ObjectDetector,
    SafetyClassifier,
    SceneClassifier,
    shares,
)
from ocelli.backends.local.runtime import prepare, trim
from ocelli.backends.local.shapes import graphic, is_unnamed
from ocelli.backends.local.surroundings import SIDE, surroundings
from ocelli.backends.local.text_reader import TextReader, reading_order
from ocelli.domain.findings import DetectedObject, Face, SceneLabel, TextLine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ocelli.backends.local.runtime import Runtime
    from ocelli.backends.local.shapes import Graphic
    from ocelli.backends.local.stopwatch import Stopwatch
    from ocelli.domain.findings import Box, Color, Safety

P = ParamSpec("P")

# All models but the text reader want less than this, so they share one smaller copy.
VIEW_SIDE = 640
SMALL = 320  # what takes little memory to look at; having it anew costs a fifth of a look
DETECTOR_SIZES = (300, 448)
# Labels below this never support anything; a group counts the small scores of its members too.
SCENE_SCORE = 0.10
# A thing in a tile is a small thing that the whole picture did not show; a detector sees parts of
# large things as other things, so it must be sure, whole, and small.
TILE_SCORE, TILE_EDGE, TILE_AREA = 0.76, 0.02, 0.2
TILE_SHARE = 0.6  # of the longer side: four tiles, or two of a panorama
SMALLEST_TILED = 960
# The text reader's own limit is 960; three tiles a side bound what a huge picture costs.
TEXT_TILE, TEXT_TILES = 960, 3
# A picture that is so much longer than wide is read in squares.
LONG = 3
SAME_LINE = 0.5
IN_GRAPHICS, SAME_PLACE = 0.76, 0.5


class ModelSet:
    """The models of one process and the lock that gives them to one look at a time.

    ``keeps_memory``: what a look took is kept for the next one, which saves a tenth of its CPU and
    takes 120 to 160 MB more.
    """

    def __init__(self) -> None:
        self.keeps_memory = False
        self.objects = ObjectDetector()
        self.scene = SceneClassifier()
        self.text = TextReader()
        self.safety = SafetyClassifier()
        self.faces = FaceDetector()
        self.lock = Lock()
        self._loading: list[Future[None]] = []

    @property
    def all(self) -> tuple[NeuralModel, ...]:
        """Each of them, in the order in which a look wants them."""
        return self.text, self.faces, self.safety, self.scene, self.objects

    def begin_loading(self, runtime: Runtime) -> Sequence[Future[None]]:
        """Start to read every model's weights, two at a time; a look waits for those that it uses.

        FileNotFoundError if some are missing.
        """
        if self._loading:
            return self._loading
        import cv2

        cv2.setNumThreads(1)
        prepare()
        for model in self.all:
            weights(model.name)
            model.runtime = runtime
        threads = ThreadPoolExecutor(2, thread_name_prefix="load")
        self._loading = [threads.submit(model.load) for model in self.all]
        threads.shutdown(wait=False)
        return self._loading

    def load(self, runtime: Runtime) -> None:
        """Read every model's weights. FileNotFoundError or inventory.WrongWeights if some are
        missing or are not the pinned ones.
        """
        for done in self.begin_loading(runtime):
            done.result()

    def release(self) -> None:
        """Free the memory of the last look for the next one, whose models want it otherwise."""
        for model in self.all:
            model.release()

    def rest(self) -> None:
        """Give all of it back to the system, as a process that waits does without."""
        self.release()
        trim()


@cache
def models() -> ModelSet:
    """The models of this process; nothing is read before ``load`` or the first look."""
    return ModelSet()


@dataclass(frozen=True, slots=True)
class Detections:
    """What the models found in one view; boxes are those of the upright picture.

    ``scenes`` are the classifier's labels, ``surroundings`` and a ``medium``. What was not looked
    for is empty.
    """

    objects: tuple[DetectedObject, ...] = ()
    scenes: tuple[SceneLabel, ...] = ()
    texts: tuple[TextLine, ...] = ()
    faces: tuple[Face, ...] = ()
    colors: tuple[Color, ...] = ()
    safety: Safety | None = None


def _then_released(look: Callable[P, Detections]) -> Callable[P, Detections]:
    @wraps(look)
    def released(*args: P.args, **options: P.kwargs) -> Detections:
        try:
            return look(*args, **options)
        finally:
            if not models().keeps_memory:
                models().release()

    return released


@_then_released
def detect(
    pixels: Any,
    clock: Stopwatch,
    *,
    view: Augmentation = Augmentation.PLAIN,
    full: Any = None,
    page: Any = None,
    every_color: bool = False,
) -> Detections:
    """Look at RGB uint8 ``pixels``, upright. The caller holds the models' lock.

    With ``full``, the same picture at full resolution, small things and small text are searched in
    tiles of it too; with ``page``, only small text.
    """
    local, small = models(), shrunk(pixels, VIEW_SIDE)
    whole = shown(small, view)
    texts = _texts(pixels, full if page is None else page, view, clock)
    # Reading needs as much as all others.
    if max(small.shape) > SMALL and not local.keeps_memory:
        local.text.release()
        trim()
    drawn = _graphic(small, view, texts)
    kind = medium(small, texts, drawn)
    faces = _faces(whole, clock)
    safety = local.safety.find(whole.pixels, clock)
    colors = dominant_colors(small, every=every_color)
    if kind is not None and kind.name not in DRAWN:
        shapes = drawn.shapes if drawn and kind.name == BAR_CHART else ()
        return Detections(shapes, (kind,), texts, faces, colors, safety)
    scores = local.scene.find(whole.pixels, clock)
    # The classifier learnt from photos, and is no witness of what is drawn.
    named = {} if drawn else shares(scores)
    things = _objects(whole, full, view, faces, named, clock)
    if kind is not None:
        things = tuple(thing for thing in things if thing.score >= IN_GRAPHICS)
        return Detections(things, (kind, *_labels(scores)), texts, faces, colors, safety)
    things = _beside(things, drawn.shapes if drawn else ())
    places = () if drawn else surroundings(scores, things, _tiny(small))
    return Detections(things, (*_labels(scores), *places), texts, faces, colors, safety)


@_then_released
def see_again(pixels: Any, clock: Stopwatch, view: Augmentation) -> Detections:
    """Look for things, labels and faces alone, the detector at its smaller size; as ``detect``.

    Things are given however faint they are.
    """
    whole = shown(shrunk(pixels, VIEW_SIDE), view)
    faces = _faces(whole, clock)
    scores = models().scene.find(whole.pixels, clock)
    seen = _restored(whole, models().objects.find(whole.pixels, clock))
    return Detections(fused([seen], shares(scores), faces), _labels(scores), faces=faces)


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
    whole: AugmentedView,
    full: Any,
    view: Augmentation,
    faces: Sequence[Face],
    named: Mapping[str, float],
    clock: Stopwatch,
) -> tuple[DetectedObject, ...]:
    detector = models().objects
    passes = [
        _restored(whole, detector.find(whole.pixels, clock, size=size)) for size in DETECTOR_SIZES
    ]
    found = [one for one in fused(passes, named, faces) if one.score >= OBJECT_SCORE]
    if full is None or max(full.shape[:2]) < SMALLEST_TILED:
        return tuple(found)
    side = int(max(full.shape[:2]) * TILE_SHARE)
    for tile in tiles(shown(full, view), side):
        seen = detector.find(shrunk(tile.pixels, VIEW_SIDE), clock)
        inside = [one for one in seen if _is_whole(one.box)]
        found += [
            one
            for one in fused([_restored(tile, inside)], {}, ())
            if one.box.area <= TILE_AREA and one.score >= TILE_SCORE
        ]
    return distinct(found)


def _faces(whole: AugmentedView, clock: Stopwatch) -> tuple[Face, ...]:
    faces = models().faces.find(whole.pixels, clock)
    return tuple(Face(face.score, whole.restore(face.box)) for face in faces)


def _labels(scores: Sequence[float]) -> tuple[SceneLabel, ...]:
    """Nouns and the sums of their groups of at least ``SCENE_SCORE``, best first."""
    named = [
        SceneLabel(name, share) for name, share in shares(scores).items() if share >= SCENE_SCORE
    ]
    return tuple(sorted(named, key=lambda label: -label.score))


def _tiny(small: Any) -> Any:
    import cv2

    return cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def _graphic(small: Any, view: Augmentation, texts: Sequence[TextLine]) -> Graphic | None:
    """Never the closer view, which would cut off those at the edge: another scale instead."""
    page = shown_to_read(small, view) if view is Augmentation.CLOSER else shown(small, view)
    lines = [TextLine(line.text, line.score, page.within(line.box)) for line in texts]
    found = graphic(page.pixels, lines)
    return replace(found, shapes=tuple(_restored(page, found.shapes))) if found else None


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
        and not any(thing.box.covered(shape.box) > SAME_PLACE for shape in shapes)
    ]
    drawn = [
        shape
        for shape in shapes
        if not is_unnamed(shape.name)
        or not any(shape.box.covered(thing.box) > SAME_PLACE for thing in kept)
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
        if not any(line.box.covered(other.box) >= SAME_LINE for other in kept):
            kept.append(line)
    return kept


def _restored(showing: AugmentedView, found: Sequence[DetectedObject]) -> list[DetectedObject]:
    return [DetectedObject(one.name, one.score, showing.restore(one.box)) for one in found]


def _is_whole(box: Box) -> bool:
    """Whether nothing of the thing can lie beyond its tile: it keeps off all edges."""
    edges = (box.left, box.top, 1 - box.right, 1 - box.bottom)
    return min(edges) > TILE_EDGE
