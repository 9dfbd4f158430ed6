"""The name of a flat region's outline. None rather than a wrong one.

Every rule is a ratio of lengths or areas of the polygon through the middles of the outermost
pixels, so that neither scale nor rotation changes it, and the staircase of pixels little.
"""

from __future__ import annotations

from math import hypot, pi
from typing import Any

SHAPES = (
    "circle", "ring", "ellipse", "square", "rectangle", "diamond", "triangle", "pentagon",
    "hexagon", "star", "cross", "heart", "arrow",
)  # fmt: skip

FULL = 0.93  # of the ideal figure's area; a regular octagon has 0.90 of its circle
TRIANGLE = 0.88  # the corners of a small triangle are blunt
ELLIPSE, POLYGON = 0.92, 0.80  # overlap with the ideal figure
EQUAL = 0.88  # sides of a square, axes of a circle
RHOMBUS, REGULAR = 0.80, 0.62  # the shortest side, in parts of the longest
BLUNT = (0.04, 0.05, 0.06, 0.03)  # of the outline's length
POLYGONS = {4: "diamond", 5: "pentagon", 6: "hexagon"}
HOLE = 0.06
TILTED = (35, 55)  # degrees: a square that stands on a corner is called a diamond
DEEP, EVEN = 0.12, 0.7  # a notch, in parts of the enclosing radius and of the deepest one
# By number of notches: the name, how deep they are, how much of its hull the figure covers.
NOTCHED = {
    5: ("star", (0.2, 0.7), (0.3, 0.75)),
    4: ("cross", (0.22, 0.7), (0.3, 0.83)),
    2: ("arrow", (0.15, 0.6), (0.4, 0.80)),
    1: ("heart", (0.12, 0.4), (0.88, 0.97)),
}
NOT_KNOWN: tuple[None, tuple[float, float], tuple[float, float]] = (None, (1, 0), (1, 0))


def outline(region: Any) -> str | None:
    """The noun for a region given as a mask of its bounding box, uint8, 0 or 1."""
    import cv2

    padded = cv2.copyMakeBorder(region, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=0)
    contours, hierarchy = cv2.findContours(padded, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    outer = [i for i in range(len(contours)) if hierarchy[0][i][3] < 0]
    if len(outer) != 1:
        return None
    contour = contours[outer[0]]
    filled = cv2.drawContours(padded * 0, contours, outer[0], 1, cv2.FILLED)
    hole = 1 - int(padded.sum()) / int(filled.sum())
    noun = _solid(contour)
    if hole > HOLE:
        return "ring" if noun == "circle" else None
    return noun


def _solid(contour: Any) -> str | None:
    """The outline without regard to holes."""
    import cv2

    _, radius = cv2.minEnclosingCircle(contour)
    hull = cv2.convexHull(contour)
    area = cv2.contourArea(hull)
    if notches := _notches(contour, radius):
        return _notched(notches, cv2.contourArea(contour) / area)
    middle, (one, other), angle = cv2.minAreaRect(contour)
    longer, shorter = max(one, other), min(one, other)
    if shorter < 1:
        return None
    share = area / (longer * shorter)
    if share >= FULL:
        if shorter < EQUAL * longer:
            return "rectangle"
        return "diamond" if TILTED[0] < angle % 90 < TILTED[1] else "square"
    if area >= FULL * pi * radius**2:
        return "circle"
    if area >= TRIANGLE * cv2.minEnclosingTriangle(hull)[0]:
        return "triangle"
    axes = round(one / 2), round(other / 2)
    oval = cv2.ellipse2Poly((round(middle[0]), round(middle[1])), axes, round(angle), 0, 360, 5)
    if shorter < EQUAL * longer and _alike(hull, oval, ELLIPSE):
        return "ellipse"
    return _polygon(hull)


def _polygon(hull: Any) -> str | None:
    """By its corners, told with more or less patience for blunt ones."""
    import cv2

    length = cv2.arcLength(hull, closed=True)
    for blunt in BLUNT:
        corners = cv2.approxPolyDP(hull, blunt * length, closed=True).reshape(-1, 2)
        following = [*corners[1:], corners[0]]
        sides = [
            hypot(*map(float, one - other)) for one, other in zip(corners, following, strict=True)
        ]
        least = RHOMBUS if len(sides) == 4 else REGULAR
        name = POLYGONS.get(len(sides))
        if name and min(sides) > least * max(sides) and _alike(hull, corners, POLYGON):
            return name
    return None


def _alike(one: Any, other: Any, least: float) -> bool:
    """Whether two convex polygons cover each other."""
    import cv2
    import numpy as np

    both = np.concatenate([one.reshape(-1, 2), other.reshape(-1, 2)])
    corner = both.min(axis=0)
    width, height = (int(side) + 1 for side in both.max(axis=0) - corner)
    first, second = (
        cv2.fillConvexPoly(np.zeros((height, width), np.uint8), polygon.reshape(-1, 2) - corner, 1)
        for polygon in (one, other)
    )
    shared = np.logical_and(first, second).sum()
    return bool(shared >= least * np.logical_or(first, second).sum())


def _notches(contour: Any, radius: float) -> list[float]:
    """Depths of the deep ones, deepest first."""
    import cv2

    indices = cv2.convexHull(contour, returnPoints=False)
    indices[::-1].sort(axis=0)
    defects = cv2.convexityDefects(contour, indices)
    if defects is None:
        return []
    depths = sorted((row[3] / 256 / radius for row in defects.reshape(-1, 4)), reverse=True)
    return [float(depth) for depth in depths if depth > DEEP]


def _notched(notches: list[float], solidity: float) -> str | None:
    """Star, cross, arrow or heart: by number and depth of the notches, and by what they leave."""
    if notches[-1] < EVEN * notches[0]:
        return None
    name, (shallow, deep), (thin, thick) = NOTCHED.get(len(notches), NOT_KNOWN)
    fits = shallow < notches[-1] < deep and thin < solidity < thick
    return name if fits else None
