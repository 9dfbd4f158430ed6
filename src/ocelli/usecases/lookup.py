"""What a client names by an id, or NotFound."""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID

from ocelli.domain.errors import NotFound

T = TypeVar("T")


def existing(found: T | None, what: str, id: object) -> T:
    """``found``, which is ``what``. Raises NotFound where it is None."""
    if found is None:
        raise NotFound(what, str(id))
    return found


def parse_id(what: str, id: str) -> UUID:
    """Raises NotFound for a text that cannot be an id."""
    try:
        return UUID(id)
    except ValueError:
        raise NotFound(what, id) from None
