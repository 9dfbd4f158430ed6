"""Which claims survive: properties that hold for any verdicts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ocelli.domain.claims import Claim, ClaimType, JudgedClaim, Ruling, Stand, Verdict
from ocelli.domain.verification import (
    NOTHING_LEFT,
    Calibration,
    ClaimVerdicts,
    confidence,
    judged,
    probability,
    tags_without_dropped,
    text_without_dropped,
    to_judge,
    without_dropped,
)

ORDER = {Ruling.CONTRADICTED: 0, Ruling.UNSEEN: 1, Ruling.UNKNOWN: 2, Ruling.SUPPORTED: 3}

strengths = st.floats(0, 1)
looks = st.builds(Verdict, st.sampled_from(Ruling), st.sampled_from(["a", "b"]), strength=strengths)
evidence = st.builds(
    Verdict,
    st.sampled_from(Ruling),
    st.just("local"),
    stand=st.just(Stand.EVIDENCE),
    strength=strengths,
)
seen = st.builds(ClaimVerdicts, st.none() | evidence, st.lists(looks, max_size=2).map(tuple))
claims = st.builds(
    Claim,
    st.just("There is a cup."),
    st.sampled_from(ClaimType),
    subject=st.just("cup"),
    belief=st.none() | st.floats(0, 1),
)
maps = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=6).map(
    lambda points: Calibration(
        tuple(zip(sorted(x for x, _ in points), sorted(y for _, y in points), strict=True))
    )
)


def better(one: ClaimVerdicts, draw: st.DataObject) -> ClaimVerdicts:
    """The same verdicts, one of them more favourable, or one more that supports."""
    choice = draw.draw(st.integers(0, len(one.looks)))
    if choice == len(one.looks):
        return replace(one, looks=(*one.looks, Verdict(Ruling.SUPPORTED, "c")))
    verdict = one.looks[choice]
    up = [r for r in Ruling if ORDER[r] >= ORDER[verdict.ruling]]
    changed = replace(verdict, ruling=draw.draw(st.sampled_from(up)))
    return replace(one, looks=(*one.looks[:choice], changed, *one.looks[choice + 1 :]))


@given(claims, seen, st.data())
def test_more_support_never_makes_a_claim_less_probable(
    claim: Claim, before: ClaimVerdicts, data: st.DataObject
) -> None:
    after = better(before, data)
    low = probability(claim, before, describer="a")
    high = probability(claim, after, describer="a")
    assert 0 < low <= high + 1e-12 < 1


@given(st.lists(st.tuples(claims, seen), min_size=1, max_size=6), maps, st.data())
def test_more_support_never_lowers_the_confidence(
    pairs: list[tuple[Claim, ClaimVerdicts]], calibration: Calibration, data: st.DataObject
) -> None:
    chosen = data.draw(st.integers(0, len(pairs) - 1))
    stronger = [
        (claim, better(each, data) if position == chosen else each)
        for position, (claim, each) in enumerate(pairs)
    ]
    before, after = (
        confidence(
            judged(
                [c for c, _ in those], [s for _, s in those], describer="a", calibration=calibration
            ),
            calibration,
        )
        for those in (pairs, stronger)
    )
    assert before is not None and after is not None
    assert 0 <= before <= after + 1e-4 <= 1 + 1e-4


@given(st.lists(st.tuples(claims, seen), max_size=6))
def test_every_claim_is_kept_or_dropped_with_its_reasons(
    pairs: list[tuple[Claim, ClaimVerdicts]],
) -> None:
    fate = judged(
        [c for c, _ in pairs], [s for _, s in pairs], describer="a", calibration=Calibration()
    )
    assert [each.claim for each in fate] == [claim for claim, _ in pairs]
    assert [each.verdicts for each in fate] == [each.verdicts for _, each in pairs]


@given(st.lists(seen, max_size=8))
def test_the_last_look_is_about_everything_that_is_open(those: list[ClaimVerdicts]) -> None:
    positions = to_judge(those)
    assert bool(positions) == bool(those)
    for position, each in enumerate(those):
        if each.is_disputed:
            assert position in positions


@given(maps, st.floats(0, 1), st.floats(0, 1))
def test_calibration_is_monotone_and_stays_a_probability(
    calibration: Calibration, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    assert 0 <= calibration(low) <= calibration(high) + 1e-12 <= 1 + 1e-12


def fate(text: str, sentence: int | None, *, kept: bool, **more: Any) -> JudgedClaim:
    return JudgedClaim(Claim(text, sentence=sentence, **more), kept, 0.9 if kept else 0.1)


def test_a_sentence_with_a_dropped_claim_goes_and_its_other_claims_stay() -> None:
    description = "A cup and a mouse on a table. It reads “No. 5”."
    fates = [
        fate("There is a cup.", 0, kept=True),
        fate("There is a mouse.", 0, kept=False),
        fate("The text reads “No. 5”.", 1, kept=True),
    ]
    assert without_dropped(description, fates) == "There is a cup. It reads “No. 5”."


def test_a_claim_that_names_no_sentence_finds_its_own() -> None:
    description = "A red cup stands left. A green mouse sleeps."
    fates = [fate("There is a green mouse.", None, kept=False)]
    assert without_dropped(description, fates) == "A red cup stands left."


def test_nothing_left_is_said_so() -> None:
    assert without_dropped("A mouse.", [fate("A mouse.", 0, kept=False)]) == NOTHING_LEFT


@given(st.lists(st.booleans(), min_size=1, max_size=5))
def test_no_kept_sentence_is_lost(kept: list[bool]) -> None:
    parts = [f"Thing {number} stands there." for number in range(len(kept))]
    fates = [fate(part, i, kept=kept[i]) for i, part in enumerate(parts)]
    left = without_dropped(" ".join(parts), fates)
    assert [part in left for part in parts] == kept


def test_tags_and_text_follow_the_claims() -> None:
    fates = [
        fate("There is a cup.", 0, kept=True, type=ClaimType.OBJECT, subject="cup"),
        fate("There are two cups.", 0, kept=False, type=ClaimType.COUNT, subject="cup", count=2),
        fate("There is a mouse.", 0, kept=False, type=ClaimType.OBJECT, subject="Mouse"),
        fate("It reads “EXLT”.", 0, kept=False, type=ClaimType.TEXT, value="EXLT"),
    ]
    assert tags_without_dropped(["cup", "mouse", "red"], fates) == ("cup", "red")
    assert text_without_dropped("EXLT\nDOOR 2", fates) == "DOOR 2"
