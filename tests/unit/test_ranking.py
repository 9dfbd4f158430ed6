"""Reciprocal rank fusion."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ocelli.domain.ranking import fuse

RANKINGS = st.lists(st.lists(st.integers(0, 20), unique=True, max_size=15), min_size=1, max_size=3)


def test_what_both_find_comes_first() -> None:
    assert [item for item, _ in fuse(["a", "b"], ["c", "b"])] == ["b", "a", "c"]
    assert fuse(["a"], ["a"]) == [("a", 1.0)]
    assert fuse([], []) == fuse() == []


@given(RANKINGS)
def test_every_item_once_with_a_score(rankings: list[list[int]]) -> None:
    fused = fuse(*rankings)
    items, scores = [item for item, _ in fused], [score for _, score in fused]
    assert sorted(items) == sorted({item for ranking in rankings for item in ranking})
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)


@given(RANKINGS, st.data())
def test_better_places_are_never_worse(rankings: list[list[int]], data: st.DataObject) -> None:
    ranking = data.draw(st.sampled_from(rankings))
    if len(ranking) < 2:
        return
    place = data.draw(st.integers(1, len(ranking) - 1))
    item = ranking[place]
    before = dict(fuse(*rankings))[item]
    ranking[place - 1 : place + 1] = [item, ranking[place - 1]]
    assert dict(fuse(*rankings))[item] > before
