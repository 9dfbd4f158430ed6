"""Where a picture was taken, from what is known of it and its colours at a small size. Pure.

Indoors and outdoors are told by a logistic regression over the classifier's scores and the things
that belong in a room or out of it (``data/calibration.toml``); the others by rules that are right
in nine of ten pictures or more, and silent about most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ocelli.backends.local.fusion import calibration, probability
from ocelli.backends.local.lexicon import lexicon
from ocelli.domain.findings import SceneLabel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.domain.findings import DetectedObject

SIDE = 96  # pixels are enough for colours
OUTDOORS, INDOORS = "outdoors", "indoors"
# In the order in which they are said; each is out of doors.
SPECIAL = ("snow", "street", "water", "grass", "rocks")
PLACES = (*SPECIAL, OUTDOORS, INDOORS)
# So sure the regression must be, and for indoors so much must things speak for it.
OUTDOORS_FROM, INDOORS_BELOW, ROOM = 0.7, 0.2, -0.5
ANYWHERE = 0.03  # share of the classifier below which it does not matter
RIGHT = 0.9  # how often the rules are
MOST_THINGS = 2
STREET_SIGNS = ("traffic light", "stop sign", "parking meter", "fire hydrant")
STREET_THINGS = (*STREET_SIGNS, "car", "bus", "truck")


@dataclass(frozen=True, slots=True)
class _Colors:
    """Shares of the picture, of its lower two thirds where the name says so."""

    white: float
    white_below: float
    green_below: float


def surroundings(
    scores: Sequence[float], things: Sequence[DetectedObject], pixels: Any
) -> list[SceneLabel]:
    """One of ``SPECIAL`` at most, and ``OUTDOORS`` or ``INDOORS``, as far as they can be told.

    ``scores`` are the classifier's of every class, ``pixels`` RGB of ``SIDE`` x ``SIDE``.
    """
    best: dict[str, float] = {}
    for thing in things:
        best[thing.name] = max(best.get(thing.name, 0.0), thing.score)
    outside = _outside(scores, best)
    special = _special(scores, best, _colors(pixels), outside)
    if special:
        return [SceneLabel(special, RIGHT), SceneLabel(OUTDOORS, max(outside, RIGHT))]
    if outside >= OUTDOORS_FROM:
        return [SceneLabel(OUTDOORS, outside)]
    if outside < INDOORS_BELOW and _thing_balance(best) < ROOM:
        return [SceneLabel(INDOORS, 1 - outside)]
    return []


def _outside(scores: Sequence[float], best: dict[str, float]) -> float:
    weights = calibration("outdoors")
    outside, inside = (_share(scores, place) + ANYWHERE for place in (OUTDOORS, INDOORS))
    return probability(
        weights["bias"]
        + weights["classifier"] * math.log(outside / inside)
        + weights["things"] * _thing_balance(best)
    )


def _thing_balance(best: dict[str, float]) -> float:
    places = lexicon().places
    return sum(best.get(name, 0.0) for name in places[OUTDOORS]) - sum(
        best.get(name, 0.0) for name in places[INDOORS]
    )


def _special(
    scores: Sequence[float], best: dict[str, float], colors: _Colors, outside: float
) -> str | None:
    if colors.white_below >= 0.25 and _share(scores, "snow") >= 0.2:
        return "snow"
    if colors.white >= 0.3 and ("skis" in best or "snowboard" in best):
        return "snow"
    traffic = sum(name in best for name in STREET_THINGS)
    if outside >= OUTDOORS_FROM and (traffic > 1 or any(name in best for name in STREET_SIGNS)):
        return "street"
    if _share(scores, "water") >= 0.3 or "surfboard" in best or "boat" in best:
        return "water"
    if colors.green_below >= 0.5 and outside > 0.3:
        return "grass"
    return "rocks" if _share(scores, "rocks") >= 0.2 else None


def _share(scores: Sequence[float], place: str) -> float:
    return sum(scores[index] for index in lexicon().place_classes[place])


def _colors(pixels: Any) -> _Colors:
    import cv2

    hue, saturation, value = cv2.split(cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV))
    white = (saturation < 64) & (value > 166)
    green = (hue > 32) & (hue < 85) & (saturation > 51) & (value > 38)
    below = slice(SIDE // 3, None)
    return _Colors(float(white.mean()), float(white[below].mean()), float(green[below].mean()))
