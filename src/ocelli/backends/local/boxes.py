"""From the raw outputs of the detecting networks to boxes: arrays in, arrays out.

Boxes are rows of left, top, right, bottom.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from math import log, sqrt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

# The grids of anchors that SSD MobileNet v2 was trained with, from fine to coarse.
GRIDS, LEAST_SCALE, LARGEST_SCALE = 6, 0.2, 0.95
ASPECTS = (1.0, 2.0, 0.5, 3.0, 0.3333)
FINEST = ((0.1, 1.0), (LEAST_SCALE, 2.0), (LEAST_SCALE, 0.5))
CENTER_VARIANCE, SIZE_VARIANCE = 0.1, 0.2
CLASSES = 91  # the first one is the ground
SSD_OVERLAP, MOST_THINGS = 0.6, 100
# YuNet looks at cells of so many pixels.
STRIDES = (8, 16, 32)
FACE_OVERLAP, MOST_FACES = 0.3, 1000


def ssd(heads: Sequence[Any], *, least: float) -> tuple[Any, Any, Any]:
    """Class numbers, scores from ``least`` on, best first, and boxes in parts of the picture.

    ``heads``: of each grid the encoded boxes, then of each the logits of all classes; arrays of
    shape (1, height, width, anchors x numbers).
    """
    import numpy as np

    encoded = np.concatenate([head.reshape(-1, 4) for head in heads[:GRIDS]])
    logits = np.concatenate([head.reshape(-1, CLASSES) for head in heads[GRIDS:]])[:, 1:]
    rows, classes = np.nonzero(logits >= log(least / (1 - least)))
    scores = 1 / (1 + np.exp(-logits[rows, classes]))
    anchors = _anchors(tuple(head.shape[1:3] for head in heads[:GRIDS]))
    boxes = _decoded(encoded[rows], anchors[rows])
    kept: list[int] = []
    for number in np.unique(classes):
        of_class = np.flatnonzero(classes == number)
        distinct = suppress(boxes[of_class], scores[of_class], SSD_OVERLAP, MOST_THINGS)
        kept += of_class[distinct].tolist()
    best = sorted(kept, key=lambda each: -scores[each])[:MOST_THINGS]
    return classes[best] + 1, scores[best], boxes[best]


def yunet(outputs: Sequence[Any], width: int, *, least: float) -> tuple[Any, Any]:
    """Scores of faces from ``least`` on, best first, and boxes in pixels.

    ``outputs``: for each of ``STRIDES`` the scores of faces, for each those of anything, for each
    the encoded boxes; arrays of shape (1, cells, numbers), cells row by row. ``width`` is that of
    what the network was shown, in pixels.
    """
    import numpy as np

    found, places = [], []
    for at, stride in enumerate(STRIDES):
        faces, things, encoded = (outputs[at + each * len(STRIDES)][0] for each in range(3))
        score = np.sqrt(np.clip(faces[:, 0], 0, 1) * np.clip(things[:, 0], 0, 1))
        cells = np.flatnonzero(score >= least)
        corner = np.stack([cells % (width // stride), cells // (width // stride)], axis=1)
        center = (corner + encoded[cells, :2]) * stride
        half = np.exp(encoded[cells, 2:4]) * stride / 2
        found.append(score[cells])
        places.append(np.concatenate([center - half, center + half], axis=1))
    scores, boxes = np.concatenate(found), np.concatenate(places)
    kept = suppress(boxes, scores, FACE_OVERLAP, MOST_FACES)
    return scores[kept], boxes[kept]


def suppress(boxes: Any, scores: Any, overlap: float, most: int) -> Any:
    """Non-maximum suppression: which rows stay, best first.

    A box goes if its intersection with a better one is more than ``overlap`` of their union. Only
    the ``most`` best ones are looked at.
    """
    import numpy as np

    order = np.argsort(-scores, kind="stable")[:most]
    kept = []
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        sides = np.minimum(boxes[best, 2:], boxes[order, 2:]) - np.maximum(
            boxes[best, :2], boxes[order, :2]
        )
        shared = np.prod(np.maximum(sides, 0), axis=1)
        order = order[shared <= overlap * (areas[best] + areas[order] - shared)]
    return np.array(kept, dtype=int)


def _decoded(encoded: Any, anchors: Any) -> Any:
    """Boxes from their offsets to anchors; both as rows of y, x, height, width."""
    import numpy as np

    sizes = np.exp(encoded[:, 2:] * SIZE_VARIANCE) * anchors[:, 2:]
    centers = encoded[:, :2] * CENTER_VARIANCE * anchors[:, 2:] + anchors[:, :2]
    return np.concatenate([centers - sizes / 2, centers + sizes / 2], axis=1)[:, [1, 0, 3, 2]]


@cache
def _anchors(grids: tuple[tuple[int, int], ...]) -> Any:
    """Rows of y, x, height, width for every cell and every shape of each grid."""
    import numpy as np

    parts = []
    for (rows, columns), shapes in zip(grids, _shapes(), strict=True):
        y, x = np.mgrid[0.5:rows, 0.5:columns].reshape(2, -1, 1)
        height, width = (
            np.array([scale * aspect**power for scale, aspect in shapes]) for power in (-0.5, 0.5)
        )
        parts.append(np.stack(np.broadcast_arrays(y / rows, x / columns, height, width), axis=-1))
    return np.concatenate([part.reshape(-1, 4) for part in parts]).astype(np.float32)


def _shapes() -> list[Sequence[tuple[float, float]]]:
    """For each grid its scales, in parts of the picture, and aspect ratios."""
    step = (LARGEST_SCALE - LEAST_SCALE) / (GRIDS - 1)
    scales = [*(LEAST_SCALE + step * grid for grid in range(GRIDS)), 1.0]
    coarser: list[Sequence[tuple[float, float]]] = [
        (*((scale, aspect) for aspect in ASPECTS), (sqrt(scale * following), 1.0))
        for scale, following in pairwise(scales[1:])
    ]
    return [FINEST, *coarser]
