"""Between the query of the page, the use cases, and what the template shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

from ocelli.api import cursors
from ocelli.console.api_requests import ApiRequest
from ocelli.console.links import thumbnail_url
from ocelli.domain.analysis import Status
from ocelli.domain.effective import effective
from ocelli.domain.file_query import FileQuery, SortBy, sort_key
from ocelli.domain.paging import PageRequest
from ocelli.domain.search import parse

if TYPE_CHECKING:
    from ocelli.domain.images import Image
    from ocelli.usecases.files import Links, Page

PER_PAGE = 60


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not hold a NUL character")
    return text


Text = Annotated[str, AfterValidator(_without_nul)]


class Order(StrEnum):
    """The orders of the grid, each with a cursor."""

    ADDED = "added"
    TAKEN = "taken"
    TITLE = "title"
    SIZE = "size"


_SORTS = {
    Order.ADDED: (SortBy.CREATED_AT, True, (datetime, UUID)),
    Order.TAKEN: (SortBy.SHOWN_AT, True, (datetime, UUID)),
    Order.TITLE: (SortBy.TITLE, False, (str, UUID)),
    Order.SIZE: (SortBy.SIZE, True, (int, UUID)),
}


class Filters(BaseModel):
    """The query of the library; all filters must hold."""

    search: Text = Field("", max_length=500)
    tags: Text = Field("", max_length=1000)
    order: Order = Order.ADDED
    cursor: str | None = Field(None, max_length=cursors.LONGEST, pattern=cursors.PATTERN)

    @property
    def tag_list(self) -> tuple[str, ...]:
        """The tags, which are separated by commas."""
        return tuple(dict.fromkeys(tag for each in self.tags.split(",") if (tag := each.strip())))

    @property
    def are_set(self) -> bool:
        """Whether any filter is."""
        return bool(self.search.strip() or self.tag_list)

    def parameters(self, **others: Any) -> dict[str, Any]:
        """Return the query parameters that differ from what they are without one."""
        values = {**self.model_dump(mode="json", exclude={"cursor"}), **others}
        default = Filters().model_dump(mode="json")
        return {name: value for name, value in values.items() if value != default.get(name)}


@dataclass(frozen=True, slots=True)
class Card:
    """A picture of the grid."""

    id: UUID
    name: str
    thumbnail: str | None
    blur_hash: str | None
    width: int
    height: int
    status: Status
    failure: str | None
    confidence: float | None
    description: str | None
    review: str


def file_query(filters: Filters) -> FileQuery:
    """Return the query of a page."""
    sort_by, descending, _ = _SORTS[filters.order]
    return FileQuery(
        search=parse(filters.search) if filters.search.strip() else None,
        tags=filters.tag_list,
        sort_by=sort_by,
        descending=descending,
    )


def page_request(filters: Filters, query: FileQuery) -> PageRequest:
    """Return the page request. Raises ValidationFailed for a cursor of another order."""
    types = _SORTS[filters.order][2]
    after = cursors.from_cursor(filters.cursor, _name(query), *types)
    return PageRequest(PER_PAGE, after=after)


def next_page(page: Page, query: FileQuery, filters: Filters) -> dict[str, Any] | None:
    """Return the query parameters of the page that follows; None on the last one."""
    if not page.has_more or not page.images:
        return None
    key = sort_key(page.images[-1], query.sort_by)
    return None if key is None else filters.parameters(cursor=cursors.to_cursor(_name(query), key))


def card(image: Image, links: Links, prefix: str) -> Card:
    """Return what the grid shows of a picture."""
    shown = effective(image)
    analysis, described = image.analysis, image.described
    return Card(
        id=image.id,
        name=image.title or image.filename,
        thumbnail=thumbnail_url(image, links, prefix),
        blur_hash=image.blur_hash,
        width=image.width,
        height=image.height,
        status=analysis.status if analysis else Status.SKIPPED,
        failure=analysis.failure.message if analysis and analysis.failure else None,
        confidence=described.confidence if described else None,
        description=shown.description,
        review=shown.review_status,
    )


def api_request(filters: Filters) -> ApiRequest:
    """Return the request that lists the same pictures."""
    sort_by, descending, _ = _SORTS[filters.order]
    arguments = {
        "search": filters.search.strip(),
        "tags": list(filters.tag_list),
        "sort_by": sort_by.value,
        "sort_order": "desc" if descending else "asc",
        "limit": PER_PAGE,
    }
    return ApiRequest(
        "List these pictures",
        "GET",
        "/api/v2/user-files",
        "files.list",
        arguments,
        query=arguments,
    )


def _name(query: FileQuery) -> str:
    return f"library {query.sort_by} {'down' if query.descending else 'up'}"
