"""Cursors of lists: opaque texts that say where the next page begins (see domain.paging)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query

from ocelli.domain.errors import ValidationFailed
from ocelli.domain.paging import Key

LONGEST = 4096
PATTERN = "^[A-Za-z0-9_=-]*$"  # so the longest one still is an address that can be sent
DESCRIPTION = (
    "`next_cursor` of the page before; then `offset` does not count. Unlike offsets, cursors skip "
    "and repeat nothing when rows are deleted or added meanwhile. Ask with the same filters."
)
Cursor = Annotated[str | None, Query(max_length=LONGEST, pattern=PATTERN, description=DESCRIPTION)]
NEXT = "Where the next page begins: give it as `cursor`. Null on the last page."


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(value)
    return moment


def _integer(value: Any) -> int:
    if type(value) is not int or abs(value) >= 2**63:
        raise ValueError(value)
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(value)
    value.encode()
    return value


_READERS: dict[type, Callable[[Any], Any]] = {
    datetime: _moment, int: _integer, float: float, str: _text, UUID: UUID
}  # fmt: skip


def to_cursor(order: str, key: Key) -> str:
    """The cursor behind the row with this key, in this order of the list."""
    text = json.dumps([order, *key], default=str, ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def from_cursor(cursor: str | None, order: str, *types: type) -> Key | None:
    """The key in it, of values of these types. Raises ValidationFailed if it is of another list."""
    if cursor is None:
        return None
    try:
        given, *key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if given != order:
            raise ValueError(given)
        return tuple(_READERS[each](value) for each, value in zip(types, key, strict=True))
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        raise ValidationFailed(
            "The cursor is none of this list and order.", field="cursor"
        ) from None
