"""Who answers, and what it costs: the examples of the documentation, and stand-ins."""

from __future__ import annotations

import pytest

from ocelli.domain.findings import LOCAL, Feature
from ocelli.domain.pricing import Roster, price_list

EVERYTHING = frozenset(Feature)
DEFAULTS = ("claude", "openai", "grok", "gemini", "clarifai", "googlevision", "rekognition")
FULL = Roster((*DEFAULTS, LOCAL), "claude")
ALONE = Roster((LOCAL,), LOCAL)
WITH_MODEL = Roster(("house", LOCAL), "house")


@pytest.mark.parametrize(
    ("backends", "features", "credits"),
    [
        (("clarifai", "openai"), EVERYTHING, 3),
        (DEFAULTS, EVERYTHING, 10),
        (DEFAULTS, {Feature.NSFW, Feature.TAGS, Feature.DESCRIPTIONS}, 9),
        (("gemini",), {Feature.DESCRIPTIONS}, 1),
        (("gemini",), {Feature.TAGS}, 0),
        (("clarifai",), {Feature.TAGS}, 1),
    ],
)
def test_documented_costs(
    backends: tuple[str, ...], features: frozenset[Feature], credits: int
) -> None:
    plan = FULL.plan(backends, features, None)
    assert plan.cost == credits
    assert plan.notes == ()


@pytest.mark.parametrize(
    ("length", "credits"), [(2500, 3), (2501, 6), (5000, 6), (5001, 9), (20_000, 24)]
)
def test_long_prompts(length: int, credits: int) -> None:
    assert FULL.plan(("claude",), EVERYTHING, "x" * length).cost == credits
    assert FULL.plan(("clarifai",), EVERYTHING, "x" * length).cost == 1


def test_only_what_was_answered_is_paid() -> None:
    plan = FULL.plan(("claude", "openai"), EVERYTHING, None)
    assert plan.cost == 5
    assert plan.paid(["openai"]) == 2
    assert plan.paid([]) == 0


def test_nobody_named() -> None:
    assert [share.backend for share in ALONE.plan((), EVERYTHING, None).shares] == [LOCAL]
    plan = WITH_MODEL.plan((), EVERYTHING, None)
    assert [share.backend for share in plan.shares] == ["house", LOCAL]
    assert plan.shares[1].features == (Feature.COLORS, Feature.FACES)  # what the model cannot
    assert plan.notes == ()


def test_stand_ins_answer_once() -> None:
    plan = ALONE.plan(DEFAULTS, EVERYTHING, None)
    assert [share.backend for share in plan.shares] == [LOCAL]
    assert len(plan.notes) == 7
    assert plan.notes[0] == "claude is not configured here."
    plan = WITH_MODEL.plan(("claude", "googlevision"), EVERYTHING, None)
    assert [share.backend for share in plan.shares] == ["house", LOCAL]
    assert plan.shares[0].features == (Feature.DESCRIPTIONS,)
    assert Feature.DESCRIPTIONS not in plan.shares[1].features


def test_what_nobody_offers_asks_nobody() -> None:
    assert ALONE.plan(("gemini",), {Feature.TAGS}, None).shares == ()


def test_who_may_be_named() -> None:
    assert ALONE.knows("claude")
    assert WITH_MODEL.knows("house")
    assert not ALONE.knows("house")
    assert not ALONE.knows("other")
    assert set(DEFAULTS) < set(price_list())
