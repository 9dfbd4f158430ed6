"""Ids as they are written."""

from __future__ import annotations

from uuid import UUID


def uuid_of(text: str | None) -> UUID | None:
    """Return a UUID; None for any other text."""
    try:
        return None if text is None else UUID(text)
    except ValueError:
        return None
