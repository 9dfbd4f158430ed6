"""What is known of a picture without reading what was found in it: for lists of many pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

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
