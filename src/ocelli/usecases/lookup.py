"""Look-ups by id that raise NotFound."""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID

from ocelli.domain.errors import NotFound

T = TypeVar("T")


def existing(found: T | None, what: str, id: object) -> T:
    """Return ``found``. Raises NotFound about a ``what`` with this id if it is None."""
    if found is None:
        raise NotFound(what, str(id))
    return found


def uuid_of(text: str | None) -> UUID | None:
    """Return a UUID; None for any other text."""
    try:
        return None if text is None else UUID(text)
    except ValueError:
        return None


def parse_id(what: str, id: str) -> UUID:
    """Parse a UUID. Raises NotFound for any other text."""
    return existing(uuid_of(id), what, id)
