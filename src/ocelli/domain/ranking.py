"""Reciprocal rank fusion: several rankings of the same things become one."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    Item = TypeVar("Item", bound=Hashable)

# The usual constant: how little the first places count more than the next ones.
SMOOTHING = 60


def fuse(*rankings: Sequence[Item]) -> list[tuple[Item, float]]:
    """Return all items with scores from 0 to 1, the best first; 1: the first in every ranking.

    Equal ones are in the order of the rankings, so that the result does not depend on chance.
    """
    scores: dict[Item, float] = defaultdict(float)
    for ranking in rankings:
        for place, item in enumerate(ranking):
            scores[item] += (SMOOTHING + 1) / (SMOOTHING + 1 + place) / len(rankings)
    return sorted(scores.items(), key=lambda each: -each[1])
