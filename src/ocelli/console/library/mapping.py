"""Between the query of the page, the use cases, and what the template shows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from ocelli.api import cursors
from ocelli.console.api_requests import ApiRequest
from ocelli.console.links import thumbnail_url
from ocelli.domain.analysis import Status
from ocelli.domain.colors import RgbColor
from ocelli.domain.effective import effective
from ocelli.domain.file_query import DescriptionState, FileQuery, SortBy, sort_key
from ocelli.domain.paging import PageRequest
from ocelli.domain.search import SearchMode, parse
from ocelli.domain.timestamps import moment

if TYPE_CHECKING:
    from ocelli.console.services import Console
    from ocelli.domain.images import Image
    from ocelli.usecases.files import Links, Page

PER_PAGE = 48


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


class Confidence(StrEnum):
    """Ranges of confidence."""

    HIGH = "high"
    MIDDLE = "middle"
    LOW = "low"


_RANGES = {
    Confidence.HIGH: (0.8, None),
    Confidence.MIDDLE: (0.5, 0.8),
    Confidence.LOW: (None, 0.5),
}
COLORS = {
    "red": "#c8102e",
    "orange": "#f28c28",
    "yellow": "#f5d033",
    "green": "#3a8f3a",
    "teal": "#1d8a8a",
    "blue": "#2f5fb3",
    "purple": "#7a3f98",
    "pink": "#e88fb0",
    "brown": "#8b5a2b",
    "white": "#f5f5f5",
    "grey": "#808080",
    "black": "#141414",
}


def _day(value: object) -> object:
    return None if value == "" else value


Day = Annotated[date | None, BeforeValidator(_day)]


class Filters(BaseModel):
    """The query of the library; all filters must hold."""

    search: Text = Field("", max_length=500)
    mode: SearchMode = SearchMode.ALL
    tags: Text = Field("", max_length=1000)
    color: Text = Field("", max_length=20, description="A name of COLORS, or #rrggbb.")
    taken_from: Day = None
    taken_to: Day = None
    state: DescriptionState | Literal[""] = ""
    confidence: Confidence | Literal[""] = ""
    order: Order = Order.ADDED
    cursor: str | None = Field(None, max_length=cursors.LONGEST, pattern=cursors.PATTERN)

    @property
    def tag_list(self) -> tuple[str, ...]:
        """The tags, which are separated by commas."""
        return tuple(dict.fromkeys(tag for each in self.tags.split(",") if (tag := each.strip())))

    @property
    def are_set(self) -> bool:
        """Whether any filter is."""
        values = self.model_dump(exclude={"mode", "order", "cursor"})
        return any(str(value or "").strip() for value in values.values())

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


def color(filters: Filters) -> RgbColor | None:
    """Return the colour, if one is asked for. Raises ValidationFailed."""
    name = filters.color.strip().lower()
    return RgbColor.parse(COLORS.get(name, name)) if name else None


def file_query(filters: Filters, ids: tuple[UUID, ...] | None = None) -> FileQuery:
    """Return the query of a page; ``ids`` are the pictures of the colour asked for."""
    least, most = _RANGES[filters.confidence] if filters.confidence else (None, None)
    sort_by, descending, _ = _SORTS[filters.order]
    return FileQuery(
        search=parse(filters.search) if filters.search.strip() else None,
        mode=filters.mode,
        tags=filters.tag_list,
        ids=ids,
        since=moment(filters.taken_from),
        before=moment(filters.taken_to, end_of_day=True),
        state=filters.state or None,
        min_confidence=least,
        max_confidence=most,
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


def card(image: Image, links: Links, console: Console) -> Card:
    """Return what the grid shows of a picture."""
    shown = effective(image)
    analysis, described = image.analysis, image.described
    return Card(
        id=image.id,
        name=image.title or image.filename,
        thumbnail=thumbnail_url(image, links, console),
        blur_hash=image.blur_hash,
        width=image.width,
        height=image.height,
        status=analysis.status if analysis else Status.SKIPPED,
        failure=analysis.failure.message if analysis and analysis.failure else None,
        confidence=described.confidence if described else None,
        description=shown.description,
        review=shown.review_status,
    )


def wants_meaning(filters: Filters, page: Page) -> bool:
    """Whether so few pictures have the words that those of like meaning help."""
    searched = bool(filters.search.strip()) and filters.mode is SearchMode.ALL
    return searched and filters.cursor is None and page.total < PER_PAGE


def api_requests(filters: Filters, *, by_meaning: bool) -> list[ApiRequest]:
    """Return the requests that find the same pictures."""
    body = {
        "query": filters.search.strip(),
        "tags": list(filters.tag_list) or None,
        "date_from": filters.taken_from and filters.taken_from.isoformat(),
        "date_to": filters.taken_to and filters.taken_to.isoformat(),
        "limit": PER_PAGE,
    }
    body = {name: value for name, value in body.items() if value}
    search = ApiRequest(
        "Search by words and by meaning",
        "POST",
        "/api/v2/agents/search/images",
        "agent_search.images",
        {name: value for name, value in body.items() if name != "query"},
        positional=(body.get("query", ""),),
        body=body,
    )
    return [_list_request(filters), *([search] if by_meaning else [])]


def _list_request(filters: Filters) -> ApiRequest:
    sort_by, descending, _ = _SORTS[filters.order]
    least, most = _RANGES[filters.confidence] if filters.confidence else (None, None)
    asked_color = color(filters)
    arguments = {
        "search": filters.search.strip(),
        "search_mode": None if filters.mode is SearchMode.ALL else filters.mode.value,
        "date_from": filters.taken_from and filters.taken_from.isoformat(),
        "date_to": filters.taken_to and filters.taken_to.isoformat(),
        "tags": list(filters.tag_list),
        "description_state": filters.state or None,
        "min_confidence": least,
        "max_confidence": most,
        "color": asked_color and asked_color.hex,
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


def exported(image: Image) -> dict[str, Any]:
    """Return a picture as a line of an export."""
    shown = effective(image)
    return {
        "id": str(image.id),
        "filename": image.filename,
        "title": shown.title,
        "description": shown.description,
        "description_source": shown.description_source,
        "alt_text": shown.alt_text,
        "tags": list(shown.tags),
        "tags_source": shown.tags_source,
        "visible_text": shown.visible_text,
        "confidence": image.described and image.described.confidence,
        "review": shown.review_status,
        "created_at": image.created_at.isoformat(),
        "taken_at": image.content_created_at and image.content_created_at.isoformat(),
        "location": image.content_location and asdict(image.content_location),
        "sha256": image.sha256,
    }


def _name(query: FileQuery) -> str:
    return f"library {query.sort_by} {'down' if query.descending else 'up'}"
