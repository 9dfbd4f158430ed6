"""Where things are in a picture, and which of them a claim is about. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ocelli.domain.claims import ClaimType
from ocelli.domain.findings import Box  # noqa: TC001 - rows are read by it

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocelli.domain.claims import Claim
    from ocelli.domain.findings import Findings


class PlaceKind(StrEnum):
    """What was found there."""

    OBJECT = "object"
    TEXT = "text"
    FACE = "face"


@dataclass(frozen=True, slots=True)
class Place:
    """Something found at ``box``: ``name`` is its noun, or the text as read; ``score`` 0 to 1."""

    kind: PlaceKind
    name: str
    score: float
    box: Box


def places(findings: Iterable[Findings]) -> list[Place]:
    """Return all places: of each backend its objects, then texts in reading order, then faces."""
    found = []
    for each in findings:
        found += [Place(PlaceKind.OBJECT, one.name, one.score, one.box) for one in each.objects]
        found += [Place(PlaceKind.TEXT, one.text, one.score, one.box) for one in each.texts]
        found += [Place(PlaceKind.FACE, "face", one.score, one.box) for one in each.faces]
    return found


def places_of(claim: Claim, found: Iterable[Place]) -> list[Place]:
    """Return the places that a claim is about: of what it names, or of the text that it quotes."""
    if claim.type is ClaimType.TEXT:
        return _quoted(claim, found)
    names = {word.casefold() for word in (claim.subject, claim.value) if word}
    names |= {name.rsplit(" ", 1)[-1] for name in names}
    return [
        each for each in found if each.kind is not PlaceKind.TEXT and each.name.casefold() in names
    ]


def _quoted(claim: Claim, found: Iterable[Place]) -> list[Place]:
    quoted = (claim.value or "").casefold()
    if not quoted:
        return []
    texts = ((each, each.name.casefold()) for each in found if each.kind is PlaceKind.TEXT)
    return [each for each, text in texts if text in quoted or quoted in text]
