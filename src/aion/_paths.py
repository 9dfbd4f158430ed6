"""Ids in addresses."""

from __future__ import annotations

from urllib.parse import quote

from aion.exceptions import ValidationError


def segment(identifier: str) -> str:
    """An id as a part of a path.

    >>> segment("a/b")
    'a%2Fb'
    """
    if not identifier or not isinstance(identifier, str):
        raise ValidationError("an id must be a text that is not empty", details={"field": "id"})
    return quote(identifier, safe="")
