"""What the tools answer: structured, and in a few lines for the model that reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from mcp.types import CallToolResult, ContentBlock, ResourceLink, TextContent
from pydantic import BaseModel, Field

from ocelli.mcp.pictures import SCHEME

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aion import (
        Claim,
        ClaimState,
        DescriptionResult,
        ImageSearchAgentResult,
        Place,
        UserFileDetails,
        VerificationResult,
    )

Verdict = Literal["supported", "contradicted", "unknown"]
Share = Annotated[float, Field(ge=0, le=1)]
Box = Annotated[
    list[float],
    Field(description="Left, top, right, bottom, as shares of the picture's width and height."),
]

_MARKS: dict[Verdict, str] = {"supported": "✓", "contradicted": "✗", "unknown": "?"}
_AGAINST = ("contradicted", "unseen")
_SHORT = 300  # characters of a description in a list


class ClaimAnswer(BaseModel):
    """One statement, and whether the picture bears it out."""

    text: str
    verdict: Verdict = Field(
        description="unknown: what looked cannot tell, or nothing looked a second time."
    )
    probability: Share = Field(description="That it is true.")
    evidence: list[str] = Field(description="Who says what about it, and why.")
    boxes: list[Box] = Field(description="Where what it is about was found.")


class TextLine(BaseModel):
    """A line of text in the picture, exactly as it was read."""

    text: str
    score: Share
    box: Box


class Description(BaseModel):
    """What a picture shows."""

    description: str
    confidence: Share | None = Field(description="That all of the description is true.")
    tags: list[str]
    visible_text: str | None
    claims: list[ClaimAnswer]
    answered_by: list[str] = Field(description="The models that described and checked.")
    warnings: list[str]


class Verification(BaseModel):
    """Whether statements are true of a picture."""

    all_supported: bool
    confidence: Share = Field(description="Mean probability of the claims.")
    claims: list[ClaimAnswer]
    answered_by: list[str]


class ReadText(BaseModel):
    """The text in a picture, in reading order."""

    text: str
    lines: list[TextLine]


class Comparison(BaseModel):
    """What pictures have in common, and what each has alone. By words: no pixels are compared."""

    pictures: list[Description]
    common_tags: list[str]
    own_tags: list[list[str]] = Field(description="For each picture, in their order.")


class FoundPicture(BaseModel):
    """A picture of the library."""

    id: str
    title: str | None
    description: str | None
    score: float = Field(description="Comparable within one search only.")


class Found(BaseModel):
    """Pictures of the library, the best first."""

    count: int = Field(description="How many were found in all.")
    pictures: list[FoundPicture]


class Evidence(BaseModel):
    """What is stored of a picture of the library, and why it is believed."""

    id: str
    title: str | None
    description: str | None
    said_by: str | None = Field(
        description="person, accepted (a machine's, approved by a person), corrected, or machine."
    )
    tags: list[str]
    visible_text: str | None
    confidence: Share | None
    claims: list[ClaimAnswer]
    lines: list[TextLine]
    answered_by: str | None
    level: str | None


def claim(said: Claim) -> ClaimAnswer:
    """Return a claim with its verdict."""
    rulings = [each.get("ruling") for each in said.verdicts]
    verdict: Verdict = "supported" if said.kept else "contradicted"
    if all(each == "unknown" for each in rulings):
        verdict = "unknown"
    return ClaimAnswer(
        text=said.text,
        verdict=verdict,
        probability=said.probability,
        evidence=[_evidence(each) for each in said.verdicts],
        boxes=said.boxes,
    )


def _evidence(verdict: dict[str, object]) -> str:
    reason = f": {verdict['reason']}" if verdict.get("reason") else ""
    return f"{verdict.get('source')}, {verdict.get('ruling')}{reason}"


def lines(places: Iterable[Place]) -> list[TextLine]:
    """Return the places where text was read."""
    return [
        TextLine(text=each.name, score=each.score, box=each.box)
        for each in places
        if each.kind == "text"
    ]


def description(result: DescriptionResult) -> Description:
    """Return the answer for one picture."""
    checked = [str(v.get("source")) for each in result.claims for v in each.verdicts]
    models = result.metadata.get("models") or {}
    return Description(
        description=result.description,
        confidence=result.confidence_score,
        tags=result.tags,
        visible_text=result.visible_text,
        claims=[claim(each) for each in result.claims],
        answered_by=list(dict.fromkeys([*models, *checked])),
        warnings=result.warnings,
    )


def verification(results: Sequence[VerificationResult]) -> Verification:
    """Return the answer for several texts about one picture, as one."""
    claims = [claim(each) for result in results for each in result.claims]
    supported = all(each.verdict == "supported" for each in claims)
    return Verification(
        all_supported=bool(claims) and supported,
        confidence=sum(each.probability for each in claims) / len(claims) if claims else 0.0,
        claims=claims,
        answered_by=list(dict.fromkeys(one for each in results for one in each.providers_used)),
    )


def read_text(result: DescriptionResult) -> ReadText:
    """Return the text of a picture."""
    return ReadText(text=result.visible_text or "", lines=lines(result.places))


def comparison(results: Sequence[DescriptionResult]) -> Comparison:
    """Return what descriptions have in common."""
    tags = [dict.fromkeys(each.tags) for each in results]
    common = [tag for tag in tags[0] if all(tag in others for others in tags)]
    return Comparison(
        pictures=[description(each) for each in results],
        common_tags=common,
        own_tags=[[tag for tag in own if tag not in common] for own in tags],
    )


def found(result: ImageSearchAgentResult) -> Found:
    """Return the pictures of a search."""
    return Found(
        count=result.count,
        pictures=[
            FoundPicture(
                id=each.image_id,
                title=each.title or each.filename,
                description=_shortened(each.description),
                score=each.score,
            )
            for each in result.results
        ],
    )


def evidence(file: UserFileDetails) -> Evidence:
    """Return what is stored of a picture: what people decided is told before what machines say."""
    newest = file.full_descriptions[-1] if file.full_descriptions else None
    is_machines = file.description_source in ("machine", "accepted")
    return Evidence(
        id=file.id,
        title=file.title,
        description=file.upload_description,
        said_by=file.description_source,
        tags=file.tags,
        visible_text=file.visible_text,
        confidence=newest.confidence_score if newest and is_machines else None,
        claims=_claims(newest.claims if newest else (), file.claims),
        lines=lines(newest.places) if newest else [],
        answered_by=newest.source if newest else None,
        level=newest.verification_level if newest else None,
    )


def _claims(made: Iterable[dict[str, object]], decided: Sequence[ClaimState]) -> list[ClaimAnswer]:
    """Return a machine's claims as people decided about them, and people's own."""
    from aion import Claim

    machine = {each["text"]: claim(Claim.from_api_response(each)) for each in made}
    by_people = {each.claim: each for each in decided if each.verdict}
    own = [_decided(each, None) for key, each in by_people.items() if key not in machine]
    return [
        _decided(by_people[key], each) if key in by_people else each
        for key, each in machine.items()
    ] + own


def _decided(by: ClaimState, machine: ClaimAnswer | None) -> ClaimAnswer:
    """Return a claim that a person decided about, which counts as the truth."""
    said = f"{by.author or 'a person'}, {by.verdict} it"
    if by.text != by.claim:
        said += f": the description said “{by.claim}”"
    return ClaimAnswer(
        text=by.text,
        verdict="supported" if by.kept else "contradicted",
        probability=1.0 if by.kept else 0.0,
        evidence=[said, *(machine.evidence if machine else ())],
        boxes=machine.boxes if machine else [],
    )


def result(answer: BaseModel, text: str, links: Sequence[ContentBlock] = ()) -> CallToolResult:
    """Return the result of a call: a short text, the same as JSON for older clients, and links."""
    return CallToolResult(
        content=[TextContent(text=text), *links, TextContent(text=answer.model_dump_json())],
        structured_content=answer.model_dump(mode="json"),
    )


def link(id: str, title: str | None) -> ResourceLink:
    """Return the link to a picture of the library."""
    return ResourceLink(name=title or id, uri=f"{SCHEME}{id}", mime_type="image/jpeg")


def told_claims(claims: Iterable[ClaimAnswer]) -> str:
    """Return the claims as lines of text."""
    return "\n".join(
        f"{_MARKS[each.verdict]} {each.text} ({each.verdict}, {each.probability:.2f})"
        for each in claims
    )


def told(picture: Description) -> str:
    """Return a description as text."""
    sure = "" if picture.confidence is None else f" (confidence {picture.confidence:.2f})"
    read = f"\nText in it: {picture.visible_text}" if picture.visible_text else ""
    return f"{picture.description}{sure}{read}"


def _shortened(text: str | None) -> str | None:
    return text if text is None or len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"
