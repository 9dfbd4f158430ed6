"""Queries of a tenant's library of pictures."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ocelli.domain.search import SearchMode, fold

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from ocelli.domain.images import Image
    from ocelli.domain.paging import Key
    from ocelli.domain.search import Search


class DescriptionState(StrEnum):
    """How far the newest description of a picture is; ``NONE``: it was never asked for."""

    DESCRIBED = "described"
    UNDER_WAY = "under_way"
    FAILED = "failed"
    NONE = "none"


class SortBy(StrEnum):
    """The sort orders of a list."""

    SHOWN_AT = "content_created_at"
    CREATED_AT = "created_at"
    TITLE = "title"
    SIZE = "size_bytes"
    RELEVANCE = "relevance"


@dataclass(frozen=True, slots=True)
class FileQuery:
    """Filters of a list of files, all of which must hold, and an order.

    ``since`` is inclusive, ``before`` is not; both compare the time when the photo was taken, or
    else uploaded. ``folder``: directly in it. All of ``tags`` must be present, whether a person or
    an analysis set them. ``has_text``: whether text is visible in it. Bounds of the confidence,
    from 0 to 1, exclude pictures without one.
    By relevance the best come first, whatever ``descending`` is.
    """

    search: Search | None = None
    mode: SearchMode = SearchMode.ALL
    tags: tuple[str, ...] = ()
    described: bool | None = None
    has_text: bool | None = None
    ids: tuple[UUID, ...] | None = None
    folder: UUID | None = None
    since: datetime | None = None
    before: datetime | None = None
    state: DescriptionState | None = None
    min_confidence: float | None = None
    max_confidence: float | None = None
    sort_by: SortBy = SortBy.SHOWN_AT
    descending: bool = True

    @property
    def filters_nothing(self) -> bool:
        """Whether every picture of a tenant matches."""
        return self == FileQuery(sort_by=self.sort_by, descending=self.descending, mode=self.mode)


def sort_key(image: Image, sort_by: SortBy) -> Key | None:
    """Return the sort key of an image, with its id last; None for the order by relevance."""
    match sort_by:
        case SortBy.SHOWN_AT:
            return (image.content_created_at or image.created_at, image.id)
        case SortBy.CREATED_AT:
            return (image.created_at, image.id)
        case SortBy.TITLE:
            return (sort_name(image.title, image.filename), image.id)
        case SortBy.SIZE:
            return (image.size_bytes, image.id)
        case SortBy.RELEVANCE:
            return None


def sort_name(title: str | None, filename: str) -> str:
    """Return the text that sorting by title compares."""
    return fold(title or filename)
