"""Simple shapes in flat graphics: icons, charts, test cards. Photos have none.

A picture is flat graphics if most of its pixels look like their neighbours and a few colours
cover those. Every connected region of one such colour, but the ground, is then named by its outline
("red circle"), or "red shape" where it is no simple one: two that touch, a part of something, a
drawing. If much is of that kind the picture is a drawing that we cannot read, and nothing is said.

The score is no model's: ``CLEAR`` where every region could be named, ``MIXED`` where some could
not, ``DOUBTFUL`` for those beside an unnamed region of their own colour, which may hide more of
them, and for the unnamed ones.
"""

from __future__ import annotations

from colorsys import rgb_to_hsv
from dataclasses import dataclass
from math import pi
from statistics import median
from typing import TYPE_CHECKING, Any

from ocelli.backends.local.outlines import SHAPES, outline
from ocelli.domain import grammar
from ocelli.domain.findings import Box, DetectedObject

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ocelli.domain.findings import TextLine

CLEAR, MIXED, DOUBTFUL = 0.95, 0.80, 0.60
UNNAMED = "shape"

SIDE = 512  # pixels; shapes that matter are still ten pixels wide
FLAT_STEP = 10  # what may lie between a pixel and its neighbours: JPEG noise, not texture
FLAT_SHARE, NAMED_SHARE = 0.80, 0.97
MOST_COLORS, SMALLEST_COLOR = 12, 0.0008
SAME_COLOR = 28  # the largest difference of a channel within one colour
PURE, SAMPLE = 8, 16_000  # within its flat parts, asked of so many pixels
BINS, SEAM = 4096, 5
SMALLEST_REGION, LARGEST_REGION = 0.0008, 0.4
SMALLEST_SIDE = 10
MOST_REGIONS = 60
MOST_UNNAMED = 0.5
IN_TEXT = 0.5
# Of bars: how thin a line is in pixels, how full their boxes are, how many there must be, how much
# they differ in width at most, and in length at least.
AXIS, FULL_BAR, BARS, LIKE, UNEQUAL = 9, 0.9, 3, 0.2, 0.3
# Sectors of a pie: so large, so many, how much of their box they fill, and how much their boxes
# overlap or touch.
SMALLEST_SECTOR, SECTORS, ROUND, CROSSING = 0.008, 3, 0.05, 0.85
NEAR_EDGE = 2

# Hues in degrees up to which a colour has its name, and where value or saturation change it.
HUES = (
    (14, "red"), (42, "orange"), (70, "yellow"), (165, "green"), (195, "teal"), (255, "blue"),
    (325, "purple"), (345, "pink"),
)  # fmt: skip
BLACK, WHITE, GREY = 0.20, 0.88, 0.10
PALE, PALE_RED, LIGHT = 0.35, 0.60, 0.70
BROWN, DARK_RED, OLIVE = 0.65, 8, 0.55


@dataclass(frozen=True, slots=True)
class _Region:
    color: str
    noun: str
    box: Box
    area: float


@dataclass(frozen=True, slots=True)
class Graphic:
    """A picture of a few flat colours: its ``shapes`` from left to right, if they can be named.

    ``is_pie``: its regions are sectors of one circle. ``has_bars``: rectangles of one width, but
    not of one height, stand on one line, or hang on a wall.
    """

    shapes: tuple[DetectedObject, ...] = ()
    is_pie: bool = False
    has_bars: bool = False


def graphic(pixels: Any, texts: Sequence[TextLine] = ()) -> Graphic | None:
    """What flat graphics in RGB uint8 ``pixels`` show; letters of ``texts`` are no shapes.

    None if it is something else.
    """
    import cv2

    height, width = pixels.shape[:2]
    scale = SIDE / max(height, width)
    if min(height, width) * min(scale, 1.0) < 2 * SMALLEST_SIDE:
        return None
    if scale < 1:
        size = round(width * scale), round(height * scale)
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    colors = _flat_colors(pixels)
    if len(colors) < 2:
        return None
    which, ground = _nearest(pixels, colors)
    regions = [
        region
        for region in _regions(pixels, colors, which, ground)
        if not any(_inside(region.box, line.box) for line in texts)
    ]
    bars = any(_has_bars(which == color) for color in range(len(colors)) if color != ground)
    return Graphic(tuple(_scored(regions)), is_pie=_is_pie(regions), has_bars=bars)


def is_shape(name: str) -> bool:
    """Whether a detected thing of this name is one of these."""
    color, _, noun = name.partition(" ")
    return color in grammar.colors() and noun in (*SHAPES, UNNAMED)


def is_unnamed(name: str) -> bool:
    """Whether the outline of such a shape was not recognised."""
    return name.endswith(f" {UNNAMED}")


def _flat_colors(pixels: Any) -> list[Any]:
    """The few colours of flat graphics, most frequent first; none if it is something else."""
    import cv2
    import numpy as np

    steps = cv2.morphologyEx(pixels, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    red, green, blue = cv2.split(steps)
    flat = np.flatnonzero(cv2.max(red, cv2.max(green, blue)) <= FLAT_STEP)
    if len(flat) < FLAT_SHARE * red.size:
        return []
    points = pixels.reshape(-1, 3)[flat[:: max(1, len(flat) // SAMPLE)]].astype(np.int16)
    keys = _bins(points)
    counts = np.bincount(keys, minlength=BINS)
    near = np.zeros(len(points), bool)
    colors: list[Any] = []
    for key in np.argsort(-counts, kind="stable"):
        if counts[key] < SMALLEST_COLOR * len(points) or len(colors) > MOST_COLORS:
            break
        color = np.median(points[keys == key], axis=0)
        if all(np.abs(color - other).max() > SAME_COLOR for other in colors):
            colors.append(color)
            near |= np.abs(points - color).max(axis=1) <= PURE
    return colors if near.mean() >= NAMED_SHARE and len(colors) <= MOST_COLORS else []


def _nearest(pixels: Any, colors: Sequence[Any]) -> tuple[Any, int]:
    """For each pixel the position of the nearest colour, and the position of the ground's."""
    import cv2
    import numpy as np

    nearest = np.argmin([((_middles() - color) ** 2).sum(axis=1) for color in colors], axis=0)
    # The median removes the seams where the pixels between two colours are nearest to a third.
    which = cv2.medianBlur(nearest.astype(np.uint8)[_bins(pixels)], SEAM)
    edge = np.concatenate([which[0], which[-1], which[:, 0], which[:, -1]])
    return which, int(np.bincount(edge).argmax())


def _regions(pixels: Any, colors: Sequence[Any], which: Any, ground: int) -> Iterator[_Region]:
    """Connected pixels of one colour; the ground is none."""
    import cv2
    import numpy as np

    height, width = pixels.shape[:2]
    for index in range(len(colors)):
        if index == ground:
            continue
        mask = (which == index).astype(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        for label in range(1, count):
            left, top, across, down, area = (int(value) for value in stats[label])
            if not SMALLEST_REGION <= area / (width * height) <= LARGEST_REGION:
                continue
            if min(across, down) < SMALLEST_SIDE or _cut_off(
                left, top, across, down, width, height
            ):
                continue
            here = np.s_[top : top + down, left : left + across]
            part = labels[here] == label
            # Its own colour: where JPEG left nothing flat of it, the nearest one is another.
            shade = np.median(pixels[here][part], axis=0)
            if np.abs(shade - colors[ground]).max() <= SAME_COLOR:
                continue
            box = Box(left / width, top / height, (left + across) / width, (top + down) / height)
            noun = outline(part.astype(np.uint8)) or UNNAMED
            yield _Region(plain_name(*shade), noun, box, area / (width * height))


def _bins(pixels: Any) -> Any:
    """The cell of each pixel in a grid of 16 x 16 x 16 over the cube of colours."""
    import numpy as np

    red, green, blue = (np.ascontiguousarray(pixels[..., i]).astype(np.uint16) for i in range(3))
    return red >> 4 << 8 | green & 0xF0 | blue >> 4


def _middles() -> Any:
    """The middle of every cell."""
    import numpy as np

    return np.stack([np.arange(BINS) >> shift & 15 for shift in (8, 4, 0)], axis=1) * 16 + 8


def _cut_off(left: int, top: int, across: int, down: int, width: int, height: int) -> bool:
    """Whether it goes on beyond the picture, as a ground or a frame does."""
    return (
        min(left, top) < NEAR_EDGE
        or left + across > width - NEAR_EDGE
        or top + down > height - NEAR_EDGE
    )


def plain_name(red: float, green: float, blue: float) -> str:
    """The basic word for a flat colour of sRGB, 0 to 255.

    By hue, as people name the saturated colours of graphics; the centroids of ``media.colors`` are
    those of dyed and printed things, where no red is as bright as a screen's.
    """
    hue, saturation, value = rgb_to_hsv(red / 255, green / 255, blue / 255)
    if value < BLACK:
        return "black"
    if saturation < GREY:
        return "white" if value > WHITE else "grey"
    degrees = hue * 360
    name = next((name for below, name in HUES if degrees < below), "red")
    if name in ("orange", "yellow") and saturation < PALE and value > LIGHT:
        return "beige"
    if name in ("red", "orange") and DARK_RED < degrees < 345 and value < BROWN:
        return "brown"
    if name == "yellow" and value < OLIVE:
        return "olive"
    return "pink" if name == "red" and saturation < PALE_RED and value > LIGHT else name


def _scored(regions: Sequence[_Region]) -> Iterator[DetectedObject]:
    named = [region for region in regions if region.noun != UNNAMED]
    if not named or len(regions) > MOST_REGIONS:
        return
    unnamed = [region for region in regions if region.noun == UNNAMED]
    if len(unnamed) > MOST_UNNAMED * len(regions):
        return
    usual = median(region.box.area for region in named)
    hiding = {region.color for region in unnamed if region.box.area > usual}
    for region in sorted(regions, key=lambda region: (region.box.left, region.box.top)):
        score = MIXED if unnamed else CLEAR
        if region.noun == UNNAMED or region.color in hiding:
            score = DOUBTFUL
        yield DetectedObject(f"{region.color} {region.noun}", score, region.box)


def _is_pie(regions: Sequence[_Region]) -> bool:
    """Whether regions of different colours fill the ellipse in the box around them."""
    large = [region for region in regions if region.area >= SMALLEST_SECTOR]
    if len({region.color for region in large}) < SECTORS:
        return False
    left, top = (min(getattr(region.box, edge) for region in large) for edge in ("left", "top"))
    right, bottom = (
        max(getattr(region.box, edge) for region in large) for edge in ("right", "bottom")
    )
    filled = sum(region.area for region in large) / ((right - left) * (bottom - top))
    spread = sum(region.box.area for region in large) / ((right - left) * (bottom - top))
    return bool(abs(filled - pi / 4) <= ROUND and spread > CROSSING)


def _has_bars(mask: Any) -> bool:
    """See ``Graphic``, for pixels of one colour; thin lines that join them do not matter."""
    import cv2
    import numpy as np

    solid = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((AXIS, AXIS), np.uint8))
    stats = cv2.connectedComponentsWithStats(solid, connectivity=4)[2][1:]
    full = stats[stats[:, 4] >= FULL_BAR * stats[:, 2] * stats[:, 3]][:, :4]
    if not BARS <= len(full) <= MOST_REGIONS:
        return False
    left, top, across, down = full.T
    standing = (top + down, across, down)
    lying = (left, down, across)
    for line, thickness, length in (standing, lying):
        for at, thick in zip(line, thickness, strict=True):
            alike = (abs(line - at) <= AXIS) & (abs(thickness - thick) <= LIKE * thick)
            if alike.sum() >= BARS and np.ptp(length[alike]) > UNEQUAL * length[alike].max():
                return True
    return False


def _inside(box: Box, line: Box) -> bool:
    width = min(box.right, line.right) - max(box.left, line.left)
    height = min(box.bottom, line.bottom) - max(box.top, line.top)
    return max(width, 0.0) * max(height, 0.0) >= IN_TEXT * box.area
