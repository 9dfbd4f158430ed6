"""What a key may do.

A scope is a role (``read`` < ``write`` < ``admin``), which opens everything of its rank, or
``{resource}:{permission}``, which opens one door besides.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from ocelli.domain.errors import MalformedRequest

if TYPE_CHECKING:
    from collections.abc import Iterable


class KeyRole(StrEnum):
    """In rising order; each includes those before it."""

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
    """Each scope once, in the order of ``SCOPES``. Raises MalformedRequest for an unknown one."""
    wanted = set(scopes)
    if unknown := sorted(wanted.difference(SCOPES)):
        raise MalformedRequest(
            f"Unknown scope: {unknown[0]}. Known are {', '.join(SCOPES)}.", field="scopes"
        )
    return tuple(str(scope) for scope in SCOPES if scope in wanted)


def allows(held: Iterable[str], role: KeyRole, scope: str | None = None) -> bool:
    """Whether one of the scopes held is the role, a higher one, or exactly ``scope``.

    >>> allows(["write"], Role.READ)
    True
    >>> allows(["write", "api_keys:write"], Role.ADMIN, "api_keys:write")
    True
    """
    return any(each == scope or _RANKS.get(each, 0) >= _RANKS[role] for each in held)


def covers(held: tuple[str, ...], wanted: Iterable[str]) -> bool:
    """Whether the wanted scopes open nothing that those held do not open."""
    return all(_opens(held, scope) for scope in wanted)


def _opens(held: tuple[str, ...], scope: str) -> bool:
    if scope in _RANKS:
        return allows(held, KeyRole(scope))
    return allows(held, KeyRole.READ if scope.endswith(":read") else KeyRole.ADMIN, scope)
