"""What is said of verified descriptions, wherever it is said: claims, verdicts, errors, levels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

from pydantic import BaseModel, Field

from ocelli.domain.analysis import Analysis, VerificationLevel
from ocelli.domain.chat import LevelReport
from ocelli.domain.choosing import Match, Mode
from ocelli.domain.claims import ClaimType, JudgedClaim, Ruling, Verdict
from ocelli.domain.findings import Box
from ocelli.domain.places import Place, PlaceKind, places_of
from ocelli.domain.places import places as places_in

FIELD = "ocelli"  # of answers whose shape is that of another vendor
NOT_A_DESCRIPTION = (
    "A level verifies answers that describe pictures. This question asks for something else, and "
    "was answered as without a level."
)


class VerdictOut(BaseModel):
    """What one of those who looked says."""

    source: str
    ruling: Ruling
    reason: str
    kind: str = Field(description="`look` (a model call) or `evidence` (local models).")


BoxOut = Annotated[
    tuple[float, float, float, float],
    Field(
        description="Left, top, right, bottom, as shares of the upright picture's width and height."
    ),
]


class ClaimOut(BaseModel):
    """One statement of a description or text, and what became of it."""

    text: str
    type: ClaimType
    kept: bool
    probability: float = Field(description="That it is true, 0 to 1.")
    verdicts: list[VerdictOut]
    boxes: list[BoxOut] = Field(
        description="Where in the picture what it is about was found; empty where no model says."
    )


class PlaceOut(BaseModel):
    """Something that was found, and where."""

    kind: PlaceKind
    name: str = Field(description="A noun; of a text, the line as it was read.")
    score: float = Field(description="The model's own, 0 to 1.")
    box: BoxOut


class ChosenTagOut(BaseModel):
    """A tag, and why it was chosen."""

    tag: str = Field(description="The path of the term; the word itself if it is `new`.")
    match: Match
    word: str = Field(description="What was said.")
    name: str | None = Field(
        description="The name of the term that `word` is or is like; null if it is `new`."
    )
    score: float = Field(
        description="1 for a name or a synonym, the cosine for `similar`, 0 for `new`."
    )


class JudgedTagOut(ChosenTagOut):
    """A tag that was chosen, why, and what became of it."""

    source: str = Field(description="The backend for whose words it was chosen.")
    kept: bool = Field(description="Whether it is one of `tags`; false if looks contradicted it.")
    probability: float = Field(description="That it fits, 0 to 1, from the verdicts.")
    verdicts: list[VerdictOut]


class TaggingOut(BaseModel):
    """The tags that were chosen from a vocabulary, also those that were dropped."""

    vocabulary: str
    digest: str = Field(description="Of the terms that they were chosen from.")
    mode: Mode
    tags: list[JudgedTagOut]


class BackendError(BaseModel):
    """A backend that did not answer, while another did."""

    source: str
    type: str
    message: str
    retryable: bool


class VerifiedPicture(BaseModel):
    """The verified description of one picture."""

    description: str
    confidence: float | None = Field(description="That all of it is true, 0 to 1.")
    looks: int = Field(description="Model calls, each one credit; 0 if the answer was known.")
    claims: list[ClaimOut]
    errors: list[BackendError]


class LevelExtension(BaseModel):
    """What became of the level in the model's name, `NAME:LEVEL`."""

    level: VerificationLevel
    verified: bool = Field(description="Whether the answer is a verified description.")
    reason: str | None = Field(description="Why it is none.")
    pictures: list[VerifiedPicture] = Field(description="In the order in which they were shown.")


def claims(analysis: Analysis) -> list[ClaimOut]:
    """Return all claims with their verdicts, also those that were dropped."""
    found = places_in(analysis.findings)
    return [claim(each, found) for each in analysis.claims]


def places(analysis: Analysis) -> list[PlaceOut]:
    """Return everything that was found at a place."""
    return [
        PlaceOut(kind=each.kind, name=each.name, score=each.score, box=_box(each.box))
        for each in places_in(analysis.findings)
    ]


def claim(judged: JudgedClaim, found: Sequence[Place]) -> ClaimOut:
    """Return a claim with its verdicts, and with those of the places that it is about."""
    return ClaimOut(
        text=judged.claim.text,
        type=judged.claim.type,
        kept=judged.kept,
        probability=judged.probability,
        verdicts=_verdicts(judged.verdicts),
        boxes=[_box(each.box) for each in places_of(judged.claim, found)],
    )


def _box(box: Box) -> BoxOut:
    left, top, right, bottom = (
        round(min(max(each, 0.0), 1.0), 4) for each in (box.left, box.top, box.right, box.bottom)
    )
    return left, top, right, bottom


def tagging(analysis: Analysis) -> TaggingOut | None:
    """Return the chosen tags; None where no vocabulary was asked for."""
    chosen = analysis.tagging
    if chosen is None:
        return None
    return TaggingOut(
        vocabulary=chosen.vocabulary,
        digest=chosen.digest,
        mode=chosen.mode,
        tags=[
            JudgedTagOut(
                tag=each.tag,
                match=each.match,
                word=each.word,
                name=each.name,
                score=each.score,
                source=each.source,
                kept=each.kept,
                probability=each.probability,
                verdicts=_verdicts(each.verdicts),
            )
            for each in chosen.tags
        ],
    )


def _verdicts(verdicts: Iterable[Verdict]) -> list[VerdictOut]:
    return [
        VerdictOut(source=v.source, ruling=v.ruling, reason=v.reason, kind=v.stand)
        for v in verdicts
    ]


def backend_errors(analysis: Analysis) -> list[BackendError]:
    """Return the backends that did not answer, with their errors."""
    return [
        BackendError(source=e.source, type=e.type, message=e.message, retryable=e.retryable)
        for e in analysis.errors
    ]


def level_extension(report: LevelReport) -> LevelExtension:
    """Return what the field ``FIELD`` of an answer says."""
    verified = bool(report.analyses)
    return LevelExtension(
        level=report.level,
        verified=verified,
        reason=None if verified else NOT_A_DESCRIPTION,
        pictures=[
            VerifiedPicture(
                description=each.description or "",
                confidence=each.confidence,
                looks=each.looks,
                claims=claims(each),
                errors=backend_errors(each),
            )
            for each in report.analyses
        ],
    )


def extended(report: LevelReport | None) -> dict[str, object]:
    """Return the same as a field of a JSON object; nothing where no level was asked for."""
    return {} if report is None else {FIELD: level_extension(report).model_dump(mode="json")}
