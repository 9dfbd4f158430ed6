"""Scopes: what a key may do.

A scope is a role (``read`` < ``write`` < ``admin``), which includes the lower ones, or
``{resource}:{permission}``, which allows one permission on one resource.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from ocelli.domain.errors import MalformedRequest

if TYPE_CHECKING:
    from collections.abc import Iterable


class KeyRole(StrEnum):
    """The roles of keys, in rising order; each includes those before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


RESOURCES = ("api_keys", "usage", "tenants", "cloud_storage")
PERMISSIONS = ("read", "write", "delete", "share")
SCOPES = (
    *KeyRole,
    *(f"{resource}:{permission}" for resource in RESOURCES for permission in PERMISSIONS),
)
EVERYTHING = (KeyRole.ADMIN.value,)

_RANKS = {role.value: rank for rank, role in enumerate(KeyRole, 1)}


def checked(scopes: Iterable[str]) -> tuple[str, ...]:
    """Return each scope once, in the order of ``SCOPES``.

    Raises MalformedRequest for unknown ones.
    """
    requested = set(scopes)
    if unknown := sorted(requested.difference(SCOPES)):
        raise MalformedRequest(
            f"Unknown scope: {unknown[0]}. Known are {', '.join(SCOPES)}.", field="scopes"
        )
    return tuple(str(scope) for scope in SCOPES if scope in requested)


def allows(held: Iterable[str], role: KeyRole, scope: str | None = None) -> bool:
    """Return whether one of the scopes held is ``role``, a higher one, or exactly ``scope``.

    >>> allows(["write"], KeyRole.READ)
    True
    >>> allows(["write", "api_keys:write"], KeyRole.ADMIN, "api_keys:write")
    True
    """
    return any(each == scope or _RANKS.get(each, 0) >= _RANKS[role] for each in held)


def covers(held: tuple[str, ...], requested: Iterable[str]) -> bool:
    """Return whether the held scopes allow everything that the requested ones do."""
    return all(_allows_scope(held, scope) for scope in requested)


def _allows_scope(held: tuple[str, ...], scope: str) -> bool:
    if scope in _RANKS:
        return allows(held, KeyRole(scope))
    return allows(held, KeyRole.READ if scope.endswith(":read") else KeyRole.ADMIN, scope)
