"""How doubtful a description is, which orders the pictures that wait for a person. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ocelli.domain.analysis import Status
from ocelli.domain.edits import ClaimVerdict, ReviewStatus
from ocelli.domain.effective import Source, effective, effective_claims
from ocelli.domain.verification import is_disputed

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from ocelli.domain.analysis import Analysis
    from ocelli.domain.claims import JudgedClaim
    from ocelli.domain.images import Image

LOW_CONFIDENCE = 0.7
UNKNOWN_CONFIDENCE = 0.5
# What a backend that did not answer, and a tag that no person has used, add to a doubt.
BACKEND_FAILED = 0.2
NEW_TAGS = 0.1


class DoubtReason(StrEnum):
    """Why a description should be looked at. ``DESCRIBED_AGAIN``: after a person's decision."""

    FAILED = "failed"
    BACKEND_FAILED = "backend_failed"
    LOW_CONFIDENCE = "low_confidence"
    DISPUTED_CLAIMS = "disputed_claims"
    NEW_TAGS = "new_tags"
    DESCRIBED_AGAIN = "described_again"


@dataclass(frozen=True, slots=True)
class Doubt:
    """The doubt about a description, 0 to 1, without and with tags that are new to the tenant."""

    value: float
    with_new_tags: float
    reasons: tuple[DoubtReason, ...]


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """A picture that waits for a person; ``image`` is as it is now, the doubt of ``queued_at``."""

    image: Image
    analysis_id: UUID
    doubt: float
    reasons: tuple[DoubtReason, ...]
    queued_at: datetime


def assess(analysis: Analysis) -> Doubt:
    """Return the doubt about an analysis that has ended; 1 for a failed one.

    Otherwise the probability that at least one of these holds, taken as independent: the confidence
    is misplaced, the worst disputed claim was decided wrongly, a backend was missing.
    """
    if analysis.status is Status.FAILED:
        return Doubt(1.0, 1.0, (DoubtReason.FAILED,))
    disputed = [each for each in analysis.claims if is_disputed(each)]
    confidence = UNKNOWN_CONFIDENCE if analysis.confidence is None else analysis.confidence
    right = confidence
    right *= min((_right(each) for each in disputed), default=1.0)
    right *= 1 - BACKEND_FAILED if analysis.errors else 1
    reasons = {
        DoubtReason.BACKEND_FAILED: bool(analysis.errors),
        DoubtReason.LOW_CONFIDENCE: confidence < LOW_CONFIDENCE,
        DoubtReason.DISPUTED_CLAIMS: bool(disputed),
    }
    return Doubt(
        1 - right,
        1 - right * (1 - NEW_TAGS),
        tuple(reason for reason, it_is in reasons.items() if it_is),
    )


def _right(claim: JudgedClaim) -> float:
    """Return the probability that keeping or dropping the claim was right."""
    return claim.probability if claim.kept else 1 - claim.probability


def label(image: Image, file: str) -> dict[str, Any] | None:
    """Return what people said of a picture as a line for ``ocelli eval``; None if that is nothing.

    ``tags`` where a person wrote or approved them. ``claims``: an accepted or added one is true, a
    rejected one false, a corrected one false and its correction true; of an approved description
    every claim that a person did not judge is true.
    """
    claims: dict[str, bool] = {}
    review = image.annotations.review
    is_approved = (
        review is not None
        and review.status is ReviewStatus.APPROVED
        and review.description is not None  # the machine's words, not a person's in their place
        and image.described is not None
        and review.analysis_id == image.described.id
    )
    for each in effective_claims(image.annotations, image.described):
        verdict = each.review.verdict if each.review else None
        if verdict is ClaimVerdict.CORRECTED:
            claims |= {each.claim: False, each.text: True}
        elif verdict is not None:
            claims[each.claim] = verdict is not ClaimVerdict.REJECTED
        elif is_approved and each.kept:
            claims[each.claim] = True
    shown = effective(image)
    line: dict[str, Any] = {"file": file}
    if shown.tags_source in (Source.PERSON, Source.ACCEPTED):
        line["tags"] = list(shown.tags)
    if claims:
        line["claims"] = claims
    return line if len(line) > 1 else None
