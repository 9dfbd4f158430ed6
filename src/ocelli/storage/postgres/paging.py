"""Pages of lists as SQL; the values are those of ``page_values``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ocelli.domain.paging import PageRequest

PAGE = "LIMIT %(limit)s OFFSET %(offset)s"


def page_values(page: PageRequest) -> dict[str, Any]:
    """One row more than the page has."""
    key = page.after or ()
    names = ("after", "after_id")
    offset = page.offset if page.after is None else 0
    return {"limit": page.look_ahead, "offset": offset, **dict(zip(names, key, strict=False))}


def older(page: PageRequest, table: str = "") -> str:
    """Where the newest come first, and ids tell equal moments apart: key (created_at, id)."""
    if page.after is None:
        return "true"
    created_at = f"{table}created_at"
    return f"{created_at} <= %(after)s AND ({created_at} < %(after)s OR {table}id > %(after_id)s)"


def further(page: PageRequest) -> str:
    """In the order of a request: key (position)."""
    return "true" if page.after is None else "position > %(after)s"
