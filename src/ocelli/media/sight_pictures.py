"""The pictures of the sight test, drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

    from ocelli.domain.sight import Kind, Trial

WIDTH, HEIGHT = 640, 480
WHITE = (255, 255, 255)
RGB = {"red": (220, 30, 30), "green": (20, 150, 50), "blue": (30, 70, 220), "yellow": (250, 210, 0)}
COLUMNS, ROWS = 4, 3  # places for shapes
RADIUS = 52


@dataclass(frozen=True, eq=False)
class DrawnPicture:
    """See ports_backends.PictureLike. ``data`` is a PNG."""

    pixels: Any
    data: bytes
    width: int = WIDTH
    height: int = HEIGHT


def draw(trial: Trial, rng: random.Random) -> DrawnPicture:
    """Return the picture of ``trial``; places of its shapes are random. Blocking."""
    import cv2
    import numpy as np

    canvas = np.full((HEIGHT, WIDTH, 3), WHITE, np.uint8)
    for row, word in enumerate(trial.words):
        _write(canvas, word, HEIGHT * (row + 1) // (len(trial.words) + 1))
    for kind, x, y in _places(trial, rng):
        _shape(canvas, kind, x, y)
    done, data = cv2.imencode(".png", canvas[:, :, ::-1])
    assert done
    return DrawnPicture(canvas, data.tobytes())


def _places(trial: Trial, rng: random.Random) -> list[tuple[Kind, int, int]]:
    if trial.sides:
        return [
            (kind, at + rng.randint(-RADIUS, RADIUS), HEIGHT // 2 + rng.randint(-RADIUS, RADIUS))
            for kind, at in zip(trial.kinds, (WIDTH // 4, WIDTH * 3 // 4), strict=True)
        ]
    shapes = [kind for kind in trial.kinds for _ in range(kind.count)]
    cells = rng.sample(range(COLUMNS * ROWS), len(shapes))
    return [
        (
            kind,
            WIDTH * (2 * (cell % COLUMNS) + 1) // (2 * COLUMNS),
            HEIGHT * (2 * (cell // COLUMNS) + 1) // (2 * ROWS),
        )
        for kind, cell in zip(shapes, cells, strict=True)
    ]


def _write(canvas: Any, word: str, middle: int) -> None:
    """Write a word in letters of a fifth of the height, centred."""
    import cv2

    font, scale, thickness = cv2.FONT_HERSHEY_DUPLEX, 3.2, 6
    (width, height), _ = cv2.getTextSize(word, font, scale, thickness)
    scale = min(scale, scale * (WIDTH - 40) / width)
    (width, height), _ = cv2.getTextSize(word, font, scale, thickness)
    origin = ((WIDTH - width) // 2, middle + height // 2)
    cv2.putText(canvas, word, origin, font, scale, (20, 20, 20), thickness, cv2.LINE_AA)


def _shape(canvas: Any, kind: Kind, x: int, y: int) -> None:
    import cv2
    import numpy as np

    color = RGB[kind.color]
    match kind.shape:
        case "circle":
            cv2.circle(canvas, (x, y), RADIUS, color, -1, cv2.LINE_AA)
        case "square":
            half = round(RADIUS * 0.88)
            cv2.rectangle(canvas, (x - half, y - half), (x + half, y + half), color, -1)
        case "triangle":
            angles = [math.radians(each) for each in (-90, 30, 150)]
            corners = [
                (x + RADIUS * math.cos(each), y + 12 + RADIUS * math.sin(each)) for each in angles
            ]
            cv2.fillPoly(canvas, [np.array(corners).round().astype(np.int32)], color, cv2.LINE_AA)
