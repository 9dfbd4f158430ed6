"""Lines of text in pixels: where they are, and what is written in them.

The two steps of PP-OCR, differentiable binarisation and CTC, with the sizes and thresholds of
RapidOCR: arrays in, arrays and text out, no network. Corners are rows of x, y in pixels, from the
top left one clockwise.
"""

from __future__ import annotations

from math import ceil, hypot
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

# The detector is shown sides that are multiples of CELL, none longer than LONGEST.
CELL, LONGEST = 32, 960
TEXT, LINE = 0.3, 0.5  # probabilities of a pixel, and of a whole line on average
GROWN = 1.6  # it marks only the core of a line
SMALLEST_CORE, SMALLEST_LINE, MOST_LINES = 3, 5, 1000
UPRIGHT = 1.5  # a line that is so much higher than wide runs down or up
# Thin strips are shown to the detector on a higher ground.
FLAT, LOW = 8, 30
# The recogniser is shown lines of this height.
HEIGHT, WIDEST = 48, 4096
STEP, GREY = 32, (127, 127, 127)  # few widths, because each new one costs some preparation
BLANK = 0


def shown(pixels: Any) -> Any:
    """``pixels`` in a size that the detector takes."""
    import cv2

    height, width = pixels.shape[:2]
    scale = min(1.0, LONGEST / max(height, width))
    sides = (max(CELL, round(int(side * scale) / CELL) * CELL) for side in (width, height))
    return cv2.resize(pixels, tuple(sides))


def ground(pixels: Any) -> tuple[Any, int]:
    """``pixels`` with black above and below if they are too flat, and how much of it above."""
    import cv2

    height, width = pixels.shape[:2]
    if height > LOW and width <= FLAT * height:
        return pixels, 0
    edge = abs(2 * max(width // FLAT, LOW) - height) // 2
    return cv2.copyMakeBorder(pixels, edge, edge, 0, 0, cv2.BORDER_CONSTANT, value=0), edge


def find_lines(probabilities: Any, width: int, height: int) -> list[Any]:
    """Corners of each line, of shape (4, 2), in a picture of ``width`` x ``height`` pixels.

    ``probabilities`` are those of text at each place, of shape (rows, columns).
    """
    import cv2
    import numpy as np

    core = cv2.dilate((probabilities > TEXT).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(core, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    scale = np.array([width / probabilities.shape[1], height / probabilities.shape[0]])
    found = []
    for contour in contours[:MOST_LINES]:
        middle, (across, down), angle = cv2.minAreaRect(contour)
        if min(across, down) < SMALLEST_CORE:
            continue
        inside = cv2.boxPoints((middle, (across, down), angle))
        if _mean(probabilities, inside) < LINE:
            continue
        edge = GROWN * across * down / (across + down)
        if min(across, down) + edge < SMALLEST_LINE:
            continue
        outside = cv2.boxPoints((middle, (across + edge, down + edge), angle))
        corners = _clockwise(np.round(outside * scale)).clip(0, (width - 1, height - 1))
        if min(_sides(corners)) > SMALLEST_CORE:
            found.append(corners.astype(np.float32))
    return found


def line_image(pixels: Any, corners: Any) -> Any:
    """The line as a picture of ``HEIGHT``; one that runs down or up is turned to the left."""
    import cv2
    import numpy as np

    across, down = _sides(corners)
    target = np.array([[0, 0], [across, 0], [across, down], [0, down]], np.float32)
    left, top = corners[0].astype(int)
    if np.array_equal(corners - corners[0], target):
        image = pixels[top : top + down, left : left + across]
    else:
        image = cv2.warpPerspective(
            pixels,
            cv2.getPerspectiveTransform(corners, target),
            (across, down),
            borderMode=cv2.BORDER_REPLICATE,
            flags=cv2.INTER_CUBIC,
        )
    if is_vertical(corners):
        image = np.rot90(image)
    width = min(ceil(HEIGHT * image.shape[1] / image.shape[0]), WIDEST)
    line = cv2.resize(np.ascontiguousarray(image), (width, HEIGHT))
    return cv2.copyMakeBorder(line, 0, 0, 0, -width % STEP, cv2.BORDER_CONSTANT, value=GREY)


def turned(image: Any) -> Any:
    """The line upside down, its padding at the end again."""
    import cv2
    import numpy as np

    grey = (image == GREY[0]).all(axis=(0, 2))
    width = image.shape[1] - int(np.argmin(grey[::-1])) if grey[-1] else image.shape[1]
    line = np.ascontiguousarray(image[::-1, width - 1 :: -1] if width else image)
    edge = image.shape[1] - line.shape[1]
    return cv2.copyMakeBorder(line, 0, 0, 0, edge, cv2.BORDER_CONSTANT, value=GREY)


def is_vertical(corners: Any) -> bool:
    """Whether the line runs down or up."""
    across, down = _sides(corners)
    return down >= UPRIGHT * across


def direction(corners: Any) -> Any:
    """The unit vector in which ``line_image`` shows the line from left to right."""
    import numpy as np

    step = corners[2] - corners[1] if is_vertical(corners) else corners[1] - corners[0]
    return step / max(float(np.hypot(*step)), 1.0)


def decode(letters: Any, probabilities: Any, alphabet: Sequence[str]) -> tuple[str, float]:
    """The text of a line and its mean probability, from the likeliest letter at each place."""
    import numpy as np

    told = (letters != BLANK) & (letters != np.concatenate([[BLANK], letters[:-1]]))
    if not told.any():
        return "", 0.0
    text = "".join(alphabet[each] for each in letters[told])
    return text, float(probabilities[told].mean())


def alphabet(characters: str) -> list[str]:
    """What the recogniser's numbers mean, from the characters in its file, a line each."""
    return ["", *characters.splitlines(), " "]


def _mean(probabilities: Any, corners: Any) -> float:
    """Over the polygon."""
    import cv2
    import numpy as np

    last = probabilities.shape[1] - 1, probabilities.shape[0] - 1
    left, top = np.floor(corners.min(axis=0)).astype(int).clip(0, last)
    right, bottom = np.ceil(corners.max(axis=0)).astype(int).clip(0, last)
    mask = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    cv2.fillPoly(mask, [(corners - (left, top)).astype(np.int32)], 1)
    return float(cv2.mean(probabilities[top : bottom + 1, left : right + 1], mask)[0])


def _clockwise(corners: Any) -> Any:
    """The top left corner first: of the two on the left the higher one."""
    import numpy as np

    across = corners[np.argsort(corners[:, 0], kind="stable")]
    (top_left, bottom_left), (top_right, bottom_right) = (
        pair[np.argsort(pair[:, 1], kind="stable")] for pair in (across[:2], across[2:])
    )
    return np.stack([top_left, top_right, bottom_right, bottom_left])


def _sides(corners: Any) -> tuple[int, int]:
    """Width and height in whole pixels."""
    one, two, three, four = corners
    across = max(hypot(*(one - two)), hypot(*(three - four)))
    return int(across), int(max(hypot(*(one - four)), hypot(*(two - three))))
