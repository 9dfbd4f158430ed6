"""Which answers are doubtful, what a budget allows, and what documents of policies are read."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocelli.domain.analysis import AnalysisAnswer, ModelCall, Task, VerificationLevel
from ocelli.domain.claims import Claim, ClaimType, JudgedClaim, Ruling, Verdict
from ocelli.domain.errors import ValidationFailed
from ocelli.domain.escalation import (
    Budget,
    EscalationReason,
    Kind,
    Policy,
    PolicyCalibration,
    Spending,
    Step,
    Triggers,
    calibrated,
    check_steps,
    cost,
    exhausted,
    merged,
    policy_from_json,
    policy_to_json,
    reasons,
)
from ocelli.domain.findings import Box, Brand, DetectedObject, Face, Findings, TextLine
from ocelli.domain.questions import Question, Role
from ocelli.domain.verification import Calibration

QUICK, CRITICAL = VerificationLevel.QUICK, VerificationLevel.CRITICAL
GOOD: dict[str, Any] = {
    "first": {"level": "quick"},
    "second": {"backend": "b", "level": "critical"},
    "when": {"confidence_below": 0.8},
    "budget": {"calls": 10},
}
CUP = Claim("There is a cup.", ClaimType.OBJECT, subject="cup")
shares = st.none() | st.floats(0, 1)
budgets = st.builds(
    Budget, st.none() | st.integers(0, 60), st.none() | st.integers(0, 60), shares
).filter(lambda b: (b.calls, b.credits, b.share) != (None, None, None))
policies = st.builds(
    Policy,
    st.builds(Step, st.none() | st.sampled_from(["a", "b"]), st.sampled_from(VerificationLevel)),
    st.builds(Step, st.none() | st.sampled_from(["a", "b"]), st.sampled_from(VerificationLevel)),
    st.builds(Triggers, shares, st.booleans(), st.frozensets(st.sampled_from(Kind))).filter(
        lambda t: t != Triggers()
    ),
    budgets,
    st.none() | st.just(PolicyCalibration(Calibration(((0.2, 0.3), (0.9, 0.8))))),
)


def answer(confidence: float | None = 0.9, **more: Any) -> AnalysisAnswer:
    found = more.pop("found", {})
    return AnalysisAnswer((Findings("a", "1", **found),), confidence=confidence, **more)


def disputed(ruling: Ruling = Ruling.CONTRADICTED) -> JudgedClaim:
    return JudgedClaim(CUP, True, 0.6, (Verdict(ruling, "b"),))


def why(when: Triggers, given: AnalysisAnswer, **question: Any) -> tuple[EscalationReason, ...]:
    return reasons(when, given, Question(**question))


@given(st.floats(0, 1), st.floats(0, 1))
def test_low_confidence_is_below_the_threshold(confidence: float, below: float) -> None:
    doubtful = why(Triggers(confidence_below=below), answer(confidence))
    assert bool(doubtful) == (confidence < below)


def test_thresholds_at_the_ends() -> None:
    assert why(Triggers(confidence_below=0.0), answer(0.0)) == ()
    assert why(Triggers(confidence_below=1.0), answer(0.98)) == (EscalationReason.LOW_CONFIDENCE,)
    assert why(Triggers(confidence_below=0.6), answer(None)) == (EscalationReason.LOW_CONFIDENCE,)
    assert why(Triggers(confidence_below=0.5), answer(None)) == ()


@pytest.mark.parametrize(
    ("ruling", "expected"),
    [
        (Ruling.CONTRADICTED, True),
        (Ruling.UNSEEN, True),
        (Ruling.SUPPORTED, False),
        (Ruling.UNKNOWN, False),
    ],
)
def test_disputed_claims(ruling: Ruling, expected: bool) -> None:
    given = answer(claims=(disputed(ruling),))
    doubtful = (EscalationReason.DISPUTED_CLAIMS,) if expected else ()
    assert why(Triggers(disputed_claims=True), given) == doubtful
    assert why(Triggers(confidence_below=0.1), given) == ()


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        (Kind.TEXT, answer(visible_text="word " * 20), True),
        (Kind.TEXT, answer(visible_text="EXIT"), False),
        (Kind.TEXT, answer(found={"texts": (TextLine("A", 0.9, Box(0, 0, 0.5, 0.3)),)}), True),
        (Kind.PEOPLE, answer(found={"faces": (Face(0.9, Box(0, 0, 1, 1)),)}), True),
        (Kind.PEOPLE, answer(tags=("two women",)), True),
        (Kind.PEOPLE, answer(tags=("dog",)), False),
        (Kind.PEOPLE, answer(claims=(replace(disputed(), claim=replace(CUP, subject="man")),)), 1),
        (Kind.PRODUCTS, answer(found={"brands": (Brand("Acme", 0.9),)}), True),
        (Kind.PRODUCTS, answer(tags=("running shoes",)), True),
        (Kind.PRODUCTS, answer(tags=("mountain",)), False),
        (Kind.PRODUCTS, answer(found={"objects": (DetectedObject("mug", 1, Box(0, 0, 1, 1)),)}), 1),
        (
            Kind.PRODUCTS,
            answer(found={"objects": (DetectedObject("mug", 1, Box(0, 0, 0.1, 1)),)}),
            False,
        ),
    ],
)  # fmt: skip
def test_kinds(kind: Kind, given: AnalysisAnswer, expected: bool) -> None:
    found = why(Triggers(kinds=frozenset({kind})), given)
    assert found == ((EscalationReason(kind),) if expected else ())
    others = frozenset(Kind) - {kind}
    assert EscalationReason(kind) not in why(Triggers(kinds=others), given)


def test_pictures_for_shops_are_of_products() -> None:
    when = Triggers(kinds=frozenset({Kind.PRODUCTS}))
    assert why(when, answer(), role=Role.ECOMMERCE) == (EscalationReason.PRODUCTS,)


@given(budgets, st.lists(st.tuples(st.booleans(), st.integers(1, 3)), max_size=60))
def test_a_budget_is_never_exceeded_and_never_left_unused(
    budget: Budget, pictures: list[tuple[bool, int]]
) -> None:
    spent = Spending()
    for is_doubtful, looks in pictures:
        more = replace(cost(["ocelli-local"] * looks), pictures=1)
        if is_doubtful and exhausted(budget, spent, more) is None:
            spent = spent + more
        else:
            spent = spent + Spending(pictures=1)
        assert budget.calls is None or spent.calls <= budget.calls
        assert budget.credits is None or spent.hundredths <= budget.credits * 100
        assert budget.share is None or spent.escalated <= budget.share * spent.pictures + 1e-6
    if budget == Budget(share=1.0):
        assert spent.escalated == sum(is_doubtful for is_doubtful, _ in pictures)


def test_a_share_is_met_exactly() -> None:
    """0.1 + 0.2 and the like: 3 of 10 pictures are a share of 0.3."""
    for escalated in range(1, 10):
        budget = Budget(share=escalated / 10)
        before = Spending(9, escalated - 1)
        assert exhausted(budget, before, Spending(1, 1, 1, 100)) is None
        assert exhausted(budget, before + Spending(0, 1), Spending(1, 1, 1, 100)) is not None


def test_the_price_is_that_of_the_list() -> None:
    assert cost(["claude", "ocelli-local", "mine"]) == Spending(0, 1, 3, 300 + 100 + 100)
    text = exhausted(Budget(credits=4), Spending(), cost(["claude", "openai"]))
    assert text is not None
    assert "0 of 4 credits" in text


@given(policies)
def test_documents_come_back(policy: Policy) -> None:
    assert policy_from_json(policy_to_json(policy)) == policy


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"budget": None}, "budget"),
        ({"budget": {}}, "budget"),
        ({"budget": {"calls": -1}}, "budget.calls"),
        ({"budget": {"calls": 1.5}}, "budget.calls"),
        ({"budget": {"credits": 10**10}}, "budget.credits"),
        ({"budget": {"share": 1.1}}, "budget.share"),
        ({"budget": {"share": math.nan}}, "budget.share"),
        ({"budget": {"euros": 1}}, "budget.euros"),
        ({"when": {}}, "when"),
        ({"when": {"confidence_below": math.nan}}, "when.confidence_below"),
        ({"when": {"confidence_below": math.inf}}, "when.confidence_below"),
        ({"when": {"confidence_below": -0.1}}, "when.confidence_below"),
        ({"when": {"confidence_below": True}}, "when.confidence_below"),
        ({"when": {"kinds": ["cats"]}}, "when.kinds"),
        ({"when": {"kinds": "text"}}, "when.kinds"),
        ({"when": {"kinds": [[]]}}, "when.kinds"),
        ({"when": {"disputed_claims": "yes"}}, "when.disputed_claims"),
        ({"second": None}, "second"),
        ({"second": "b"}, "second"),
        ({"second": {"level": "best"}}, "second.level"),
        ({"second": {"backend": ""}}, "second.backend"),
        ({"first": {"levels": "quick"}}, "first.levels"),
        ({"third": {}}, "third"),
        ({"calibration": {"first": [[0.1]]}}, "calibration.first"),
        ({"calibration": {"first": [[0.9, 0.1], [0.1, 0.2]]}}, "calibration.first"),
        ({"calibration": {"second": [[0.1, 0.9], [0.2, 0.1]]}}, "calibration.second"),
        ({"calibration": {"second": [[0.1, 2]]}}, "calibration.second"),
    ],
)
def test_bad_documents_name_the_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        policy_from_json(GOOD | change)
    assert caught.value.details["field"] == field


@pytest.mark.parametrize("below", [0, 1])
def test_thresholds_of_0_and_1_and_a_budget_of_0_are_policies(below: int) -> None:
    document = GOOD | {"when": {"confidence_below": below}, "budget": {"calls": 0}}
    assert policy_from_json(document).when.confidence_below == below
    assert exhausted(Budget(calls=0), Spending(), cost(["b"])) is not None


def test_steps_are_known_and_differ() -> None:
    check_steps(policy_from_json(GOOD), ["a", "b"], "a")
    with pytest.raises(ValidationFailed, match="b is not configured"):
        check_steps(policy_from_json(GOOD), ["a"], "a")
    same = policy_from_json(GOOD | {"first": {"level": "critical"}})
    check_steps(same, ["a", "b"], "a")
    with pytest.raises(ValidationFailed, match="same as the first"):
        check_steps(same, ["a", "b"], "b")


def test_the_second_answer_counts_and_nothing_found_is_lost() -> None:
    call = ModelCall("a", "1", Task.DESCRIBE)
    first = AnalysisAnswer(
        (Findings("a", "1", description="A."),), (call,), "A.", "EXIT", ("cup",), 0.4
    )
    second = AnalysisAnswer(
        (Findings("b", "1", description="B."),), (replace(call, source="b"),), "B.", confidence=0.9
    )
    both = merged(first, second)
    assert (both.description, both.confidence) == ("B.", 0.9)
    assert (both.visible_text, both.tags) == ("EXIT", ("cup",))
    assert [each.source for each in both.findings] == ["b", "a"]
    assert [each.source for each in both.calls] == ["a", "b"]
    again = merged(first, replace(second, findings=first.findings))
    assert len(again.findings) == 1


def test_a_policys_calibration_changes_probabilities_and_confidence() -> None:
    given = answer(0.9, claims=(JudgedClaim(CUP, True, 0.9), JudgedClaim(CUP, True, 0.7)))
    done = calibrated(given, Calibration(((0.5, 0.5), (0.9, 0.7))))
    assert [each.probability for each in done.claims] == [0.7, 0.6]
    assert done.confidence == 0.65
    assert calibrated(given, Calibration()) == given
