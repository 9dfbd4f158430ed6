"""What is known of pictures without reading what was found in them: for lists of many."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ocelli.domain import grammar
from ocelli.domain.search import words
from ocelli.domain.sentences import claims_from_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from ocelli.domain.claims import Claim
    from ocelli.domain.effective import EffectiveClaim
    from ocelli.domain.images import Coordinates


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """The properties and the effective words of a stored picture.

    ``taken_at`` is the date that its file or a person gives, ``location`` where its file says that
    it was taken, each None without one. ``color`` is the
    name of the largest colour, None until colours were extracted. ``claims`` are all of them, kept
    or not.
    """

    id: UUID
    filename: str
    title: str | None
    description: str | None
    visible_text: str | None
    tags: tuple[str, ...]
    folder_id: UUID | None
    format: str
    width: int
    height: int
    taken_at: datetime | None
    created_at: datetime
    color: str | None = None
    location: Coordinates | None = None
    claims: tuple[EffectiveClaim, ...] = ()

    @property
    def shown_at(self) -> datetime:
        """When it was taken, or else when it came."""
        return self.taken_at or self.created_at

    @property
    def label(self) -> str:
        """How people call it: its title, or else the name of its file."""
        return self.title or self.filename


@dataclass(frozen=True, slots=True)
class StoredTogether:
    """What is stored of several pictures, as if of one; see statements.Stored."""

    kept: tuple[Claim, ...]
    refuted: tuple[Claim, ...]
    stored: frozenset[str]
    findings: None = None

    def words(self) -> frozenset[str]:
        """Return all words that are stored of any of them, in the singular too."""
        return self.stored


def stored_together(pictures: Sequence[PictureFacts]) -> StoredTogether:
    """Return what statements about all of these pictures are compared with.

    Of several the numbers of things are left out: a statement may count over all of them.
    """
    claims = [each for picture in pictures for each in picture.claims]
    kept = [claim for each in claims if each.kept for claim in claims_from_text(each.text)]
    if len(pictures) > 1:
        kept = [replace(each, count=None) for each in kept]
    refuted = [claim for each in claims if not each.kept for claim in claims_from_text(each.claim)]
    texts = [each.text for each in claims if each.kept]
    for picture in pictures:
        told = (picture.title, picture.description, picture.visible_text, picture.filename)
        texts += [*filter(None, told), *picture.tags]
    said = {word for text in texts for word in words(text)}
    return StoredTogether(
        tuple(kept), tuple(refuted), frozenset(said | {grammar.singular(word) for word in said})
    )
