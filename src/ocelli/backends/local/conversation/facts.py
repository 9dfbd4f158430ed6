"""What is known about a picture that a user asks about, and what can be read from it. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocelli.backends.local.fusion import COUNTED, SURE
from ocelli.domain import grammar
from ocelli.domain.claims import ClaimType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocelli.domain.findings import Findings
    from ocelli.domain.ports_chat import AnalysedPicture

LABELLED = 0.55
DOMINANT = 0.10
NEAR_DUPLICATE = 8  # bits of 64 that may differ

PERSON, FACE = "person", "face"


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """An AnalysedPicture, and what follows from its findings."""

    findings: Findings
    sha256: str
    dhash: int | None = None
    width: int | None = None
    height: int | None = None

    @classmethod
    def of(cls, picture: AnalysedPicture) -> PictureFacts:
        """The facts of ``picture``."""
        return cls(picture.findings, picture.sha256, picture.dhash, picture.width, picture.height)

    @property
    def description(self) -> str:
        """As it was described, or that nothing was recognised."""
        return self.findings.description or "Nothing was recognised."

    @property
    def things(self) -> Counter[str]:
        """How many of what were detected; a circle that is red counts as "red circle"."""
        return Counter(one.name for one in self.findings.objects if one.score >= COUNTED)

    @property
    def said(self) -> dict[str, Found]:
        """The things, scenes and faces that the description claims and that count."""
        if not self.findings.claims:
            return {name: Found(name, count) for name, count in self.things.items()}
        return {
            claim.subject: Found(
                claim.subject,
                claim.count or self.things[claim.subject] or 1,
                claim.belief is None or claim.belief >= SURE,
            )
            for claim in self.findings.claims
            if claim.subject
            and claim.type in CLAIMED
            and (claim.belief is None or claim.belief >= COUNTED)
        }

    @property
    def lines(self) -> list[str]:
        """The text that can be read, line by line."""
        return [" ".join(line.text.split()) for line in self.findings.texts]

    @property
    def colors(self) -> dict[str, float]:
        """Names of the main colours with their shares, largest first."""
        shares: dict[str, float] = {}
        for color in self.findings.colors:
            shares[color.name] = shares.get(color.name, 0.0) + color.fraction
        ranked = sorted(shares.items(), key=lambda entry: (-entry[1], entry[0]))
        return {name: min(share, 1.0) for name, share in ranked if share >= DOMINANT}

    def find(self, noun: str) -> Found:
        """How many of what people call ``noun`` there are: "women", "animals", "red circles"."""
        wanted = set(meanings(noun))
        objects = [
            one
            for one in self.findings.objects
            if one.score >= COUNTED and not wanted.isdisjoint(_names(one.name))
        ]
        faces = len(self.findings.faces)
        if FACE in wanted:
            return Found(FACE, faces)
        if objects:
            names = {one.name for one in objects}
            name = names.pop() if len(names) == 1 else grammar.canonical(noun)
            sure = all(one.score >= SURE for one in objects)
            return Found(name, max(len(objects), faces if PERSON in wanted else 0), sure)
        if PERSON in wanted and faces:
            return Found(PERSON, faces, at_least=True)
        for label in self.findings.scenes:
            if label.score >= LABELLED and label.name.casefold() in wanted:
                return Found(label.name, 1, sure=False, at_least=True)
        return Found(noun, 0)


@dataclass(frozen=True, slots=True)
class Found:
    """What was found, by its own name, and how many.

    ``at_least`` where the rest could not be counted.
    """

    name: str
    count: int
    sure: bool = True
    at_least: bool = False


CLAIMED = frozenset({ClaimType.OBJECT, ClaimType.COUNT, ClaimType.SCENE})


def meanings(noun: str) -> Iterator[str]:
    """The nouns of findings that ``noun`` may stand for, itself among them."""
    one = grammar.canonical(noun)
    yield one
    yield grammar.singular(noun.casefold())
    yield from grammar.members(one)


def _names(name: str) -> set[str]:
    """What a detected thing may be called: a "red circle" is also a circle."""
    first, _, rest = name.casefold().partition(" ")
    return {name.casefold(), rest} if first in grammar.colors() else {name.casefold()}
