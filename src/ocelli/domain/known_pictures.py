"""What is stored of a picture that a conversation is about, after what people said of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ocelli.domain import grammar
from ocelli.domain.claims import Claim, ClaimType
from ocelli.domain.effective import effective, effective_claims
from ocelli.domain.findings import LOCAL, Findings
from ocelli.domain.search import words
from ocelli.domain.sentences import claims_from_text

if TYPE_CHECKING:
    from datetime import datetime

    from ocelli.domain.effective import Effective
    from ocelli.domain.images import Image


@dataclass(frozen=True, slots=True)
class KnownPicture:
    """A picture with its claims that hold and those that do not.

    ``findings`` are the local models' where there are any, else another backend's; None while it
    is not described.
    """

    image: Image
    shown: Effective
    findings: Findings | None
    kept: tuple[Claim, ...]
    refuted: tuple[Claim, ...]

    @property
    def name(self) -> str:
        """What it is called."""
        return self.image.title or self.image.filename

    @property
    def taken_at(self) -> datetime:
        """When the photo was taken, or else when it came."""
        return self.image.content_created_at or self.image.created_at

    def words(self) -> frozenset[str]:
        """All words that are stored of it, as searches compare them, in the singular too."""
        texts = (
            self.image.title,
            self.image.filename,
            self.shown.description,
            self.shown.visible_text,
            *self.shown.tags,
            *(claim.text for claim in self.kept),
            f"{self.taken_at:%d %B %Y %A}",
            *(color.name for color in (self.findings.colors if self.findings else ())),
        )
        said = {word for text in texts for word in words(text or "")}
        return frozenset(said | {grammar.singular(word) for word in said})


def known(image: Image) -> KnownPicture:
    """Return what is known of a picture."""
    shown = effective(image)
    judged = effective_claims(image.annotations, image.described)
    made = (
        {each.claim.text: each.claim for each in image.described.claims} if image.described else {}
    )
    kept: list[Claim] = []
    refuted: list[Claim] = []
    for each in judged:
        claim = made.get(each.claim)
        if each.kept and each.text == each.claim and claim is not None:
            kept.append(claim)
        elif each.kept:
            kept += claims_from_text(each.text)
            refuted += [] if each.text == each.claim or claim is None else [claim]
        else:
            refuted += claims_from_text(each.claim) if claim is None else [claim]
    kept += claims_from_text(shown.description or "")
    findings = _findings(image, shown, tuple(kept), tuple(refuted))
    return KnownPicture(image, shown, findings, tuple(kept), tuple(refuted))


def _findings(
    image: Image, shown: Effective, kept: tuple[Claim, ...], refuted: tuple[Claim, ...]
) -> Findings | None:
    found = image.described.findings if image.described else ()
    first = next((each for each in found if each.source == LOCAL), found[0] if found else None)
    if first is None:
        if shown.description is None:
            return None
        return Findings(LOCAL, "", description=shown.description)
    gone = {each.subject for each in refuted if each.type in (ClaimType.OBJECT, ClaimType.COUNT)}
    gone -= {each.subject for each in kept}
    lines = set((shown.visible_text or "").splitlines())
    own = {claim.text for claim in first.claims}
    return replace(
        first,
        description=shown.description,
        objects=tuple(each for each in first.objects if each.name not in gone),
        scenes=tuple(each for each in first.scenes if each.name not in gone),
        texts=tuple(each for each in first.texts if each.text in lines)
        if image.revision
        else first.texts,
        claims=tuple(each for each in kept if each.text in own),
    )
