"""What people say about a picture: single edits, and what they add up to."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime


class EditField(StrEnum):
    """What an edit is about; ``CLAIM`` names the claim beside it."""

    TITLE = "title"
    DESCRIPTION = "description"
    ALT_TEXT = "alt_text"
    TAGS = "tags"
    REJECTED_TAGS = "rejected_tags"
    CLAIM = "claim"
    REVIEW = "review"


class ClaimVerdict(StrEnum):
    """What a person says about a claim; an ``ADDED`` one is the person's own."""

    ACCEPTED = "accepted"
    CORRECTED = "corrected"
    REJECTED = "rejected"
    ADDED = "added"


class ReviewStatus(StrEnum):
    """What a person decided about a description; ``PENDING`` takes a decision back."""

    APPROVED = "approved"
    REJECTED = "rejected"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of one field. ``value`` and ``previous`` are JSON; None: nothing was said."""

    id: UUID
    image_id: UUID
    revision: int
    position: int
    field: EditField
    claim: str | None
    value: Any
    previous: Any
    author: str
    created_at: datetime
    undoes: UUID | None = None

    @property
    def by(self) -> Authorship:
        """Who said it, and when."""
        return Authorship(self.author, self.created_at, self.revision)


@dataclass(frozen=True, slots=True)
class ClaimChange:
    """A new verdict on a claim; None takes it back. ``text`` is what a corrected one says."""

    claim: str
    verdict: ClaimVerdict | None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What one request changes: None leaves a field as it is, an empty value removes it."""

    title: str | None = None
    description: str | None = None
    alt_text: str | None = None
    tags: Sequence[str] | None = None
    rejected_tags: Sequence[str] | None = None
    claims: Sequence[ClaimChange] = ()
    review: ReviewStatus | None = None


@dataclass(frozen=True, slots=True)
class Authorship:
    """Who said something, when, and in which revision."""

    author: str
    created_at: datetime
    revision: int


@dataclass(frozen=True, slots=True)
class ClaimReview:
    """A person's verdict on a claim. ``claim`` is what it says, ``text`` what it should say."""

    claim: str
    verdict: ClaimVerdict
    text: str | None
    by: Authorship

    @property
    def value(self) -> dict[str, Any]:
        """The value of its edit."""
        return {"verdict": self.verdict, **({"text": self.text} if self.text else {})}


@dataclass(frozen=True, slots=True)
class Review:
    """A person's decision about the description of one analysis.

    ``description`` and ``tags`` are the words that were approved, as they were shown.
    """

    status: ReviewStatus
    analysis_id: UUID | None
    description: str | None
    tags: tuple[str, ...]
    by: Authorship

    @property
    def value(self) -> dict[str, Any]:
        """The value of its edit."""
        return {
            "status": self.status,
            "analysis_id": self.analysis_id and str(self.analysis_id),
            "description": self.description,
            "tags": list(self.tags),
        }


@dataclass(frozen=True, slots=True)
class Annotations:
    """All that people say about a picture now, but for its title and tags.

    ``authorship`` is of every field that a person has set, title and tags among them. ``claims``
    are by ``claim_key``.
    """

    description: str | None = None
    alt_text: str | None = None
    rejected_tags: tuple[str, ...] = ()
    claims: Mapping[str, ClaimReview] = field(default_factory=dict)
    review: Review | None = None
    authorship: Mapping[EditField, Authorship] = field(default_factory=dict)


NONE = Annotations()


def claim_key(text: str) -> str:
    """Return what claims that say the same have in common: not case, space or a full stop.

    >>> claim_key("There are  two cups.") == claim_key("there are two cups")
    True
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.split()).rstrip(".!。")


def annotated(
    before: Annotations, field: EditField, claim: str | None, value: Any, by: Authorship
) -> Annotations:
    """Return the annotations after an edit; its ``value`` is None where it takes a word back."""
    authorship = {name: each for name, each in before.authorship.items() if name is not field}
    if value is not None and field is not EditField.CLAIM:
        authorship[field] = by
    after = replace(before, authorship=authorship)
    match field:
        case EditField.DESCRIPTION:
            return replace(after, description=value)
        case EditField.ALT_TEXT:
            return replace(after, alt_text=value)
        case EditField.REJECTED_TAGS:
            return replace(after, rejected_tags=tuple(value or ()))
        case EditField.REVIEW:
            return replace(after, review=None if value is None else _review(value, by))
        case EditField.CLAIM:
            return replace(after, claims=_claims(before, claim or "", value, by))
        case EditField.TITLE | EditField.TAGS:
            return after


def _review(value: Mapping[str, Any], by: Authorship) -> Review:
    id = value["analysis_id"]
    tags = tuple(value["tags"])
    return Review(ReviewStatus(value["status"]), id and UUID(id), value["description"], tags, by)


def _claims(
    before: Annotations, claim: str, value: Mapping[str, Any] | None, by: Authorship
) -> dict[str, ClaimReview]:
    key = claim_key(claim)
    claims = {other: each for other, each in before.claims.items() if other != key}
    if value is not None:
        verdict = ClaimVerdict(value["verdict"])
        claims[key] = ClaimReview(claim, verdict, value.get("text"), by)
    return claims
