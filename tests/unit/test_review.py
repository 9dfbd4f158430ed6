"""Doubt, which orders reviews, and labels, which reviews become."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime

from tests.integration.test_storage import an_analysis, an_image

from ocelli.domain.analysis import BackendFailure, Status
from ocelli.domain.claims import Claim, JudgedClaim, Ruling, Stand, Verdict
from ocelli.domain.edits import (
    Annotations,
    Authorship,
    ClaimReview,
    ClaimVerdict,
    Review,
    ReviewStatus,
    claim_key,
)
from ocelli.domain.errors import FailureType
from ocelli.domain.evaluation import ReferenceLabel, samples
from ocelli.domain.review import DoubtReason, assess, label

IMAGE = an_image(uuid.uuid4())
SURE = replace(an_analysis(IMAGE), status=Status.COMPLETED, confidence=0.95, description="A cat.")
BY = Authorship("Ada", datetime(2026, 1, 1, tzinfo=UTC), 1)


def claim(text: str, *rulings: Ruling, kept: bool = True, probability: float = 0.8) -> JudgedClaim:
    verdicts = tuple(Verdict(ruling, "b") for ruling in rulings)
    return JudgedClaim(Claim(text), kept, probability, verdicts)


def test_what_is_worse_is_more_doubtful() -> None:
    failure = BackendFailure("b", FailureType.TIMEOUT, "away", retryable=True)
    disputed = claim("x", Ruling.SUPPORTED, Ruling.CONTRADICTED, probability=0.6)
    in_order = [
        SURE,
        replace(SURE, errors=(failure,)),
        replace(SURE, claims=(disputed,)),
        replace(SURE, confidence=0.5),
        replace(SURE, confidence=0.5, claims=(disputed,)),
        replace(SURE, status=Status.FAILED),
    ]
    doubts = [assess(each) for each in in_order]
    assert [each.value for each in doubts] == sorted(each.value for each in doubts)
    assert doubts[0].reasons == ()
    assert doubts[1].reasons == (DoubtReason.BACKEND_FAILED,)
    assert doubts[4].reasons == (DoubtReason.LOW_CONFIDENCE, DoubtReason.DISPUTED_CLAIMS)
    assert doubts[5].reasons == (DoubtReason.FAILED,)
    assert all(each.value < each.with_new_tags for each in doubts[:5])


def test_evidence_that_finds_nothing_disputes_nothing() -> None:
    unseen = Verdict(Ruling.UNSEEN, "ocelli-local", stand=Stand.EVIDENCE)
    weightless = JudgedClaim(Claim("x"), True, 0.8, (unseen,))
    assert assess(replace(SURE, claims=(weightless,))) == assess(SURE)


def test_labels_are_what_eval_reads() -> None:
    analysis = replace(SURE, claims=(claim("A cat."), claim("A dog."), claim("A cow.", kept=False)))
    said = [
        ClaimReview("A dog.", ClaimVerdict.CORRECTED, "A fox.", BY),
        ClaimReview("It rains.", ClaimVerdict.REJECTED, None, BY),
        ClaimReview("It snows.", ClaimVerdict.ADDED, None, BY),
    ]
    claims = {claim_key(each.claim): each for each in said}
    image = replace(
        IMAGE, tags=("cat",), described=analysis, annotations=Annotations(claims=claims)
    )
    line = label(image, "a.png")
    known = {"A dog.": False, "A fox.": True, "It rains.": False, "It snows.": True}
    assert line == {"file": "a.png", "tags": ["cat"], "claims": known}
    read = ReferenceLabel.from_json(line)
    assert [each.true for each in samples(analysis.claims, read)] == [False]

    approved = Review(ReviewStatus.APPROVED, analysis.id, "A cat.", (), BY)
    line = label(replace(image, annotations=Annotations(claims=claims, review=approved)), "a.png")
    assert line is not None
    assert line["claims"] == {"A cat.": True, **known}

    of_own_words = replace(approved, description=None)
    said_by_hand = Annotations(claims=claims, description="A cat, mine.", review=of_own_words)
    line = label(replace(image, annotations=said_by_hand), "a.png")
    assert line is not None
    assert line["claims"] == known


def test_a_picture_of_which_nothing_was_said_has_no_label() -> None:
    assert label(replace(IMAGE, tags=(), described=SURE), "a.png") is None
