"""Quality against cost: intervals, halves, thresholds, and calibration of final scores."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import examples

from ocelli.domain.analysis import AnalysisAnswer, ModelCall, Task, VerificationLevel
from ocelli.domain.claims import Claim, JudgedClaim
from ocelli.domain.escalation import Budget, Policy, Step, Triggers
from ocelli.domain.evaluation import ReferenceLabel
from ocelli.domain.findings import Findings
from ocelli.domain.questions import Question
from ocelli.domain.tradeoff import (
    DescribedPicture,
    Share,
    accepted,
    alone,
    at,
    cheapest,
    curve,
    final,
    final_error,
    fit_policy,
    halves,
    measure,
    thresholds,
    widest,
)

POLICY = Policy(
    Step("a"),
    Step("b", VerificationLevel.STANDARD),
    Triggers(confidence_below=0.5),
    Budget(share=1),
)


def described(name: str, confidence: float, first: list[bool], second: list[bool]) -> Any:
    """A picture of whose claims each step says these true and false ones."""
    truth = {f"claim {name} {n} {step}": is_true for step, claims in (("a", first), ("b", second))
             for n, is_true in enumerate(claims)}  # fmt: skip

    def answer(step: str, sure: float, looks: int) -> AnalysisAnswer:
        claims = tuple(
            JudgedClaim(Claim(text), True, sure) for text in truth if text.endswith(step)
        )
        call = ModelCall("ocelli-local", "1", Task.DESCRIBE)
        found = Findings(step, "1", description="Something.")
        return AnalysisAnswer((found,), (call,) * looks, confidence=sure, claims=claims)

    label = ReferenceLabel(f"{name}.png", claims=truth)
    return DescribedPicture(label, Question(), answer("a", confidence, 1), answer("b", 0.9, 2))


def a_set(number: int = 200, seed: int = 1) -> list[DescribedPicture]:
    """The first step is right as often as it says, the second nearly always."""
    rng = random.Random(seed)
    made = []
    for n in range(number):
        sure = rng.choice([0.3, 0.5, 0.7, 0.9, 0.99])
        first = [rng.random() < sure for _ in range(4)]
        made.append(described(str(n), sure, first, [rng.random() < 0.97 for _ in range(4)]))
    return made


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_holds_its_share_and_narrows(counts: tuple[int, int]) -> None:
    share = Share(*counts)
    low, high = share.interval
    assert share.value is not None
    assert 0 <= low <= share.value <= high <= 1
    more = Share(share.count * 10, share.total * 10).interval
    assert more[1] - more[0] < high - low


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (Share(0, 10), (0.0, 0.2775)),  # Wilson (1927), as in textbooks
        (Share(5, 10), (0.2366, 0.7634)),
        (Share(81, 263), (0.2553, 0.3662)),
        (Share(0, 0), (0.0, 1.0)),
    ],
)
def test_intervals_are_wilsons(share: Share, expected: tuple[float, float]) -> None:
    assert share.interval == pytest.approx(expected, abs=1e-4)


@examples(10)
@given(st.integers(2, 60), st.randoms())
def test_halves_are_those_of_the_names(number: int, rng: random.Random) -> None:
    pictures = [described(str(n), 0.5, [True], [True]) for n in range(number)]
    shuffled = list(pictures)
    rng.shuffle(shuffled)
    fit, others = halves(pictures)
    assert ([*map(id, fit)], [*map(id, others)]) == tuple([*map(id, h)] for h in halves(shuffled))
    assert abs(len(fit) - len(others)) <= 1
    assert {*map(id, fit)} | {*map(id, others)} == {*map(id, pictures)}


def test_a_higher_threshold_asks_more_and_costs_more() -> None:
    points = curve(POLICY, a_set())
    assert [each.below for each in points] == [0, 0.3, 0.5, 0.7, 0.9, 0.99, 1]
    assert [each.escalated.count for each in points] == sorted(e.escalated.count for e in points)
    assert [each.credits for each in points] == sorted(each.credits for each in points)
    first, second = alone(a_set())
    assert (points[0].looks, points[0].false) == (first.looks, first.false)
    assert (points[-1].looks, points[-1].false) == (first.looks + second.looks, second.false)
    assert points[-1].credits == 3.0


def test_the_threshold_for_a_wanted_error_holds_on_other_pictures() -> None:
    """Right as often as it says: of those above the threshold so many are false as was wanted."""
    fit, others = halves(a_set(1_000))
    found, is_sure = cheapest(curve(POLICY, fit), 0.1)
    assert is_sure
    assert found is not None
    assert found.below is not None
    assert 0.5 <= found.below <= 0.9
    came_out = measure(at(POLICY, found.below), others).false
    assert came_out.value is not None
    assert came_out.value <= 0.1
    below = measure(at(POLICY, thresholds(fit)[thresholds(fit).index(found.below) - 1]), fit)
    assert below.false.interval[1] > 0.1


def test_what_cannot_be_reached_is_not_found_and_what_is_not_sure_says_so() -> None:
    assert cheapest(curve(POLICY, a_set()), 0.0) == (None, False)
    few = [described(str(n), 0.9, [True] * 4, [True]) for n in range(5)]
    found, is_sure = cheapest(curve(POLICY, few), 0.05)
    assert found is not None
    assert (found.below, is_sure) == (0.0, False)  # 0 of 20: 1 of 21 is to be expected
    assert cheapest(curve(POLICY, few[:4]), 0.05) == (None, False)
    nothing = [described("1", 0.9, [], [])]
    assert cheapest(curve(POLICY, nothing), 0.5) == (None, False)


def test_final_scores_are_calibrated_by_the_step_that_answered() -> None:
    """The second step says 0.9 and is right 97 times of 100; the first is right by its word."""
    fit, others = halves(a_set(1_000))
    policy = at(POLICY, 0.8)
    fitted = fit_policy(policy, fit)
    assert fitted.calibration is not None
    assert fitted.calibration.second(0.9) == pytest.approx(0.97, abs=0.02)
    assert fitted.calibration.first(0.9) == pytest.approx(0.9, abs=0.05)
    before, after = final_error(policy, others), final_error(fitted, others)
    assert before is not None
    assert after is not None
    assert after < before
    doubtful = next(each for each in others if each.is_doubtful(policy))
    assert final(policy, doubtful).confidence == 0.9
    assert final(fitted, doubtful).confidence == pytest.approx(0.97, abs=0.02)


def test_few_claims_make_no_calibration() -> None:
    fitted = fit_policy(POLICY, [described("1", 0.9, [True], [True])])
    assert fitted.calibration is not None
    assert fitted.calibration.first.knots == fitted.calibration.second.knots == ()


def test_coverage_is_what_final_scores_accept() -> None:
    fit, others = halves(a_set(1_000))
    cheap = replace(POLICY, when=Triggers(confidence_below=0.0))
    found, is_sure = widest(cheap, fit, 0.15)
    assert is_sure
    assert found is not None
    came_out = accepted(cheap, others, found.confidence)
    assert came_out.coverage.value == pytest.approx(0.4, abs=0.05)  # 0.9 and 0.99 of five
    assert came_out.false.value is not None
    assert came_out.false.value <= 0.15
    assert widest(cheap, fit, 0.0) == (None, False)
