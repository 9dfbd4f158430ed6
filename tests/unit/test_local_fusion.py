"""What the scores of several models come to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocelli.backends.local.fusion import (
    FAINT,
    OBJECT_SCORE,
    calibration,
    distinct,
    fused,
    log_odds,
    probability,
)
from ocelli.domain.findings import Box, DetectedObject, Face

WHOLE = Box(0.1, 0.1, 0.9, 0.9)
shares = st.floats(0.0, 1.0)


def found(name: str, score: float, left: float = 0.1, right: float = 0.5) -> DetectedObject:
    return DetectedObject(name, score, Box(left, 0.1, right, 0.5))


def names(*objects: DetectedObject) -> list[str]:
    return [kept.name for kept in distinct(objects)]


def test_one_thing_is_detected_once() -> None:
    assert names(found("cup", 0.9), found("cup", 0.8, 0.12)) == ["cup"]
    assert names(found("bowl", 0.8), found("cup", 0.9, 0.12)) == ["cup"]


def test_a_part_of_a_thing_is_no_second_one() -> None:
    part = DetectedObject("person", 0.9, Box(0.2, 0.2, 0.4, 0.4))
    assert len(distinct([DetectedObject("person", 0.95, WHOLE), part])) == 1


def test_a_further_one_must_be_sure() -> None:
    assert names(found("cup", 0.9, 0.1, 0.3), found("cup", 0.8, 0.6, 0.8)) == ["cup", "cup"]
    assert names(found("cup", 0.9, 0.1, 0.3), found("cup", 0.7, 0.6, 0.8)) == ["cup"]


def test_things_that_do_not_resemble_each_other_may_share_a_place() -> None:
    assert names(found("person", 0.9), found("motorcycle", 0.8)) == ["person", "motorcycle"]


def seen(*scores: float, name: str = "cup", share: float = 0.0, face: float = 0.0) -> float:
    """The probability of one thing that the detector scored so at each size."""
    passes = [[DetectedObject(name, score, WHOLE)] for score in scores]
    faces = [Face(face, WHOLE)] if face else []
    (one,) = fused(passes, {name: share}, faces)
    return one.score


def test_two_sizes_that_agree_are_surer_than_one_that_does_not() -> None:
    assert seen(0.7, 0.7) > OBJECT_SCORE > seen(0.7, FAINT)


@given(st.floats(FAINT, 1.0), st.floats(FAINT, 1.0), st.floats(FAINT, 1.0), shares, shares)
def test_more_support_never_lowers_a_probability(
    low: float, high: float, other: float, share: float, more: float
) -> None:
    low, high = sorted((low, high))
    share, more = sorted((share, more))
    assert seen(low, other, share=share) <= seen(high, other, share=more)
    assert seen(low, other, name="person", face=share) <= seen(low, other, name="person", face=more)


@pytest.mark.parametrize("table", ["things", "things_at_one_size"])
def test_every_witness_speaks_for_a_thing(table: str) -> None:
    weights = calibration(table)
    assert all(weights[name] > 0 for name in ("detector", "classifier", "face", "area", "person"))


def animals(*scores: tuple[str, float, float], shares: dict[str, float]) -> list[str]:
    boxes = [found(name, score, left, left + 0.15) for name, score, left in scores]
    return [one.name for one in fused([boxes, boxes], shares, ())]


def test_a_lone_animal_is_what_the_classifier_calls_it() -> None:
    assert animals(("cow", 0.95, 0.1), shares={"dog": 0.8}) == ["dog"]
    assert animals(("cow", 0.95, 0.1), shares={"dog": 0.4}) == ["cow"]
    assert animals(("boat", 0.95, 0.1), shares={"rocket": 0.9}) == ["rocket"]


def test_a_herd_and_a_pair_stay_what_they_are() -> None:
    herd = [("giraffe", 0.95, left) for left in (0.1, 0.4, 0.7)]
    assert animals(*herd, shares={"bird": 0.9}) == ["giraffe"] * 3
    both = animals(("dog", 0.95, 0.1), ("cow", 0.95, 0.5), shares={"dog": 0.9})
    assert sorted(both) == ["cow", "dog"]


def test_a_herd_that_the_classifier_disputes_is_less_certain() -> None:
    boxes = [found("giraffe", 0.95, left, left + 0.15) for left in (0.1, 0.4, 0.7)]
    agreed = fused([boxes, boxes], {}, ())
    disputed = fused([boxes, boxes], {"bird": 0.9}, ())
    assert max(one.score for one in disputed) <= 0.8 < agreed[0].score


@given(st.floats(0.03, 0.97))
def test_log_odds_have_an_inverse(score: float) -> None:
    assert probability(log_odds(score)) == pytest.approx(score)
