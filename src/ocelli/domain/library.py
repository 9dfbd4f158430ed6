"""What can be asked of a tenant's pictures as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ocelli.domain.search import SearchMode

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from ocelli.domain.search import Search


class SortBy(StrEnum):
    """The orders of a list."""

    SHOWN_AT = "content_created_at"
    CREATED_AT = "created_at"
    TITLE = "title"
    SIZE = "size_bytes"
    RELEVANCE = "relevance"


@dataclass(frozen=True, slots=True)
class FileQuery:
    """Filters, which all must hold, and an order.

    ``since`` is included, ``before`` is not; both are about when the photo was taken, or else when
    it came. ``tags`` are the person's or the machine's; all must be there. By relevance the best
    come first in any case.
    """

    search: Search | None = None
    mode: SearchMode = SearchMode.ALL
    tags: tuple[str, ...] = ()
    described: bool | None = None
    ids: tuple[UUID, ...] | None = None
    since: datetime | None = None
    before: datetime | None = None
    sort_by: SortBy = SortBy.SHOWN_AT
    descending: bool = True
