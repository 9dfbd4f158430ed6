"""Look-ups by id that raise NotFound."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ocelli.domain.errors import NotFound
from ocelli.domain.ids import uuid_of

if TYPE_CHECKING:
    from uuid import UUID

T = TypeVar("T")


def existing(found: T | None, what: str, id: object) -> T:
    """Return ``found``. Raises NotFound about a ``what`` with this id if it is None."""
    if found is None:
        raise NotFound(what, str(id))
    return found


def parse_id(what: str, id: str) -> UUID:
    """Parse a UUID. Raises NotFound for any other text."""
    return existing(uuid_of(id), what, id)
