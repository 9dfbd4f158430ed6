"""What is shown of a picture: the person's word first, and whose word it is."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocelli.domain.claims import Claim, ClaimType, JudgedClaim
from ocelli.domain.edits import (
    NONE,
    Annotations,
    Authorship,
    ClaimReview,
    ClaimVerdict,
    Review,
    ReviewStatus,
    claim_key,
)
from ocelli.domain.effective import (
    Effective,
    MachineWords,
    Source,
    effective_claims,
    effective_words,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BY = Authorship("Ada", NOW, 1)
TEXT = "There are three cups. A cat sleeps on a sofa."
CUPS = JudgedClaim(
    Claim("There are three cups.", ClaimType.COUNT, "cup", 3, sentence=0),
    kept=True,
    probability=0.9,
)
CAT = JudgedClaim(
    Claim("A cat sleeps on a sofa.", ClaimType.OBJECT, "cat", sentence=1),
    kept=True,
    probability=0.8,
)
DOG = JudgedClaim(
    Claim("There is a dog.", ClaimType.OBJECT, "dog", sentence=2), kept=False, probability=0.3
)
MACHINE = MachineWords(uuid.uuid4(), TEXT, "EXIT", ("cup", "cat"), (CUPS, CAT, DOG))


def judged(claim: str, verdict: ClaimVerdict, text: str | None = None) -> ClaimReview:
    return ClaimReview(claim, verdict, text, BY)


def said(*claims: ClaimReview, **values: Any) -> Annotations:
    return Annotations(claims={claim_key(each.claim): each for each in claims}, **values)


def shown(annotations: Annotations, machine: MachineWords | None = MACHINE) -> Effective:
    return effective_words(None, (), annotations, machine)


def test_nothing_said_shows_the_machine() -> None:
    found = shown(NONE)
    assert (found.description, found.description_source) == (TEXT, Source.MACHINE)
    assert (found.tags, found.tags_source) == (("cup", "cat"), Source.MACHINE)
    assert found.review_status is ReviewStatus.PENDING
    nothing = shown(NONE, None)
    assert nothing.description is nothing.description_source is nothing.tags_source is None


def test_a_person_comes_first() -> None:
    found = effective_words("Mine", ("own",), said(description="My cat.", alt_text="Cat"), MACHINE)
    assert (found.description, found.description_source) == ("My cat.", Source.PERSON)
    assert (found.tags, found.tags_source) == (("own",), Source.PERSON)
    assert found.title_source is found.alt_text_source is Source.PERSON


@pytest.mark.parametrize(
    ("review", "text"),
    [
        (judged("There are three cups.", ClaimVerdict.ACCEPTED), TEXT),
        (judged("There are three cups.", ClaimVerdict.REJECTED), "A cat sleeps on a sofa."),
        (
            judged("there are  three cups", ClaimVerdict.CORRECTED, "There are two cups."),
            "There are two cups. A cat sleeps on a sofa.",
        ),
        (judged("There is a dog.", ClaimVerdict.ACCEPTED), f"{TEXT} There is a dog."),
        (judged("There is a dog.", ClaimVerdict.CORRECTED, "A fox."), f"{TEXT} A fox."),
        (judged("There is a dog.", ClaimVerdict.REJECTED), TEXT),
        (judged("It rains.", ClaimVerdict.REJECTED), TEXT),
        (judged("It rains.", ClaimVerdict.ADDED), TEXT),
    ],
)
def test_verdicts_on_claims_are_carried_out(review: ClaimReview, text: str) -> None:
    found = shown(said(review))
    assert found.description == text
    assert found.description_source is (Source.MACHINE if text == TEXT else Source.CORRECTED)


def test_a_position_counts_only_in_the_text_that_it_is_of() -> None:
    """After verification has dropped the first sentence, the others have moved."""
    first = JudgedClaim(Claim("A dog runs.", sentence=0), kept=False, probability=0.2)
    second = JudgedClaim(Claim("A cat sleeps.", sentence=1), kept=True, probability=0.9)
    third = JudgedClaim(Claim("A bird sings.", sentence=2), kept=True, probability=0.9)
    machine = MachineWords(
        uuid.uuid4(), "A cat sleeps. A bird sings.", claims=(first, second, third)
    )
    found = shown(said(judged("A cat sleeps.", ClaimVerdict.REJECTED)), machine)
    assert found.description == "A bird sings."


def test_rejected_tags_and_things_are_not_shown() -> None:
    found = shown(said(rejected_tags=("CUP",)))
    assert (found.tags, found.tags_source) == (("cat",), Source.CORRECTED)
    assert shown(said(judged("There are three cups.", ClaimVerdict.REJECTED))).tags == ("cat",)


def approval(machine: MachineWords, **values: Any) -> Review:
    return Review(
        ReviewStatus.APPROVED, machine.id, machine.description, machine.tags, BY, **values
    )


def test_approved_words_outlive_another_description() -> None:
    later = MachineWords(uuid.uuid4(), "A blue car.", None, ("car",))
    found = shown(said(review=approval(MACHINE)), later)
    assert (found.description, found.description_source) == (TEXT, Source.ACCEPTED)
    assert (found.tags, found.tags_source) == (("cup", "cat"), Source.ACCEPTED)
    assert found.reviewed == BY


def test_a_correction_after_the_approval_counts() -> None:
    later = ClaimReview(
        "There are three cups.", ClaimVerdict.CORRECTED, "Two cups.", Authorship("Bo", NOW, 2)
    )
    assert shown(said(later, review=approval(MACHINE))).description == (
        "Two cups. A cat sleeps on a sofa."
    )
    earlier = judged("There are three cups.", ClaimVerdict.CORRECTED, "Two cups.")
    assert shown(said(earlier, review=approval(MACHINE))).description == TEXT


def test_a_rejected_description_is_not_shown_but_a_later_one_is() -> None:
    review = Review(ReviewStatus.REJECTED, MACHINE.id, None, (), BY)
    found = shown(said(review=review))
    assert found.description is found.description_source is None
    assert found.tags == ()
    later = MachineWords(uuid.uuid4(), "A blue car.")
    assert shown(said(review=review), later).description == "A blue car."


def test_a_claim_that_no_description_makes_any_more_is_kept_and_marked() -> None:
    correction = judged("There are nine cups.", ClaimVerdict.CORRECTED, "There are two cups.")
    claims = effective_claims(said(correction), MACHINE)
    assert [each.in_description for each in claims] == [True, True, True, False]
    assert claims[-1].text == "There are two cups."
    assert claims[-1].review == correction
    assert [each.kept for each in claims] == [True, True, False, True]


@given(
    st.text(), st.lists(st.tuples(st.text(), st.booleans(), st.sampled_from(list(ClaimVerdict))))
)
def test_any_text_and_verdicts_are_survived(
    text: str, claims: list[tuple[str, bool, ClaimVerdict]]
) -> None:
    made = tuple(JudgedClaim(Claim(name), kept, 0.5) for name, kept, _ in claims)
    reviews = [judged(name, verdict, "x") for name, _, verdict in claims]
    found = shown(said(*reviews), MachineWords(uuid.uuid4(), text, claims=made))
    assert bool(found.description) == (found.description_source is not None)
