"""One probability for each thing, from what several looks and models say of it. Pure.

The detector looks at two sizes, whose scores are joined where their boxes are; the classifier's
share for the thing's noun, a face for a person, and its size are further witnesses. A logistic
regression makes one probability of them, which is that a person would say so: see
``data/calibration.toml``.

A lone animal, or vehicle, is what the classifier calls it.
Of several things of one name each must be sure, and not lie within another: the detector sees
parts of a thing as further ones.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from ocelli.backends.local import data
from ocelli.backends.local.lexicon import lexicon
from ocelli.domain.findings import DetectedObject

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ocelli.domain.findings import Box, Face

# From this probability on a photo's thing is said. Of what is found, also in graphics, it counts
# from the first of these on, and is said without doubt from the second on.
OBJECT_SCORE = 0.74
COUNTED, SURE = 0.55, 0.75
PERSON = "person"
# Scores below the first make no thing, those below the second no difference.
FAINT, FLOOR = 0.10, 0.03
SAME_PLACE = 0.5  # overlap of one thing's boxes at two sizes
# From this share of the classifier on such a thing is called what it says, unless there are many,
# which are then less certain; it is right about so much.
RENAMED = {"animal": 0.5, "vehicle": 0.85}
HERD, DISPUTED = 3, 0.8
CLASSIFIER_TRUST = (0.6, 0.4)
LEAST_SHARE, LEAST_AREA = 0.01, 0.01
CERTAIN = 0.98
# A box of which so much lies within another one of its class, or the other way round, is the same
# thing; so are two classes that resemble each other (the same COCO supercategory: cup and bowl, cat
# and dog, car and truck), if their boxes overlap so much.
WITHIN, CONFUSED_THING = 0.7, 0.45
FURTHER = 0.75


def fused(
    passes: Sequence[Sequence[DetectedObject]],
    shares: Mapping[str, float],
    faces: Sequence[Face],
) -> tuple[DetectedObject, ...]:
    """Every thing once, with the probability that it is there as its score, best first.

    ``passes`` are what the detector found at each size, from ``FLOOR`` on; ``shares`` the
    classifier's for each noun.
    """
    face = max((one.score for one in faces), default=0.0)
    weights = calibration("things" if len(passes) > 1 else "things_at_one_size")
    found = []
    for name, box, scores in _joined(passes):
        odds = (
            weights["bias"]
            + weights["detector"] * sum(map(log_odds, scores)) / len(scores)
            + weights["classifier"] * math.log(max(shares.get(name, 0.0), LEAST_SHARE))
            + weights["area"] * math.log(box.area + LEAST_AREA)
        )
        if name == PERSON:
            odds += weights["person"] + weights["face"] * face
        found.append(DetectedObject(name, probability(odds), box))
    for kind, least in RENAMED.items():
        found = _renamed(found, shares, kind, least)
    return distinct(found)


def distinct(objects: Iterable[DetectedObject]) -> tuple[DetectedObject, ...]:
    """Each thing once, best first, and further ones of a name only from ``FURTHER`` on."""
    kept: list[DetectedObject] = []
    names: set[str] = set()
    for candidate in sorted(objects, key=lambda found: -found.score):
        if candidate.name in names and candidate.score < FURTHER:
            continue
        if not any(_same_thing(candidate, other) for other in kept):
            kept.append(candidate)
            names.add(candidate.name)
    return tuple(kept)


@cache
def calibration(name: str) -> Any:
    """A table of ``data/calibration.toml``."""
    return data.read("calibration.toml")[name]


def log_odds(score: float) -> float:
    """Of a probability, which is never more than ``CERTAIN`` here, nor less than its opposite."""
    score = min(max(score, 1 - CERTAIN), CERTAIN)
    return math.log(score / (1 - score))


def probability(odds: float) -> float:
    """The inverse of ``log_odds``."""
    return 1 / (1 + math.exp(-odds))


def _joined(
    passes: Sequence[Sequence[DetectedObject]],
) -> list[tuple[str, Box, list[float]]]:
    """Name, box and the score in each pass of everything that one of them saw."""
    ranked = sorted(
        ((one, at) for at, found in enumerate(passes) for one in found), key=lambda e: -e[0].score
    )
    things: dict[str, list[tuple[Box, list[float]]]] = {}
    for one, at in ranked:
        others = things.setdefault(one.name, [])
        for box, scores in others:
            if box.overlap(one.box) >= SAME_PLACE:
                scores[at] = max(scores[at], one.score)
                break
        else:
            if one.score >= FAINT:
                others.append(
                    (one.box, [one.score if i == at else 0.0 for i in range(len(passes))])
                )
    return [(name, box, scores) for name, found in things.items() for box, scores in found]


def _renamed(
    found: Sequence[DetectedObject], shares: Mapping[str, float], kind: str, least: float
) -> list[DetectedObject]:
    """With the classifier's noun for a lone animal, or vehicle, that the detector calls otherwise.

    The detector finds them, and confuses their kinds.
    """
    words = lexicon()
    nouns = {words.parent(name) or name for name in shares if words.is_a(name, kind)}
    best = max(nouns, key=lambda noun: shares.get(noun, 0.0), default="")
    share = shares.get(best, 0.0)
    if share < least:
        return list(found)
    likely = Counter(
        one.name
        for one in distinct(found)
        if one.score >= OBJECT_SCORE and words.is_a(one.name, kind)
    )
    if best in likely or not likely:
        return list(found)
    if likely.total() >= HERD:
        return [
            replace(one, score=min(one.score, DISPUTED)) if one.name in likely else one
            for one in found
        ]
    lowest, more = CLASSIFIER_TRUST
    return [
        replace(one, name=best, score=lowest + more * share) if one.name in likely else one
        for one in found
        if one.name in likely or not words.is_a(one.name, kind)
    ]


def _same_thing(candidate: DetectedObject, other: DetectedObject) -> bool:
    if candidate.name == other.name:
        return candidate.box.covered(other.box) >= WITHIN
    kinds = lexicon().kinds
    confusable = kinds.get(candidate.name, frozenset()) & kinds.get(other.name, frozenset())
    return bool(confusable) and candidate.box.overlap(other.box) >= CONFUSED_THING
