"""Idempotency keys: a repeated request with the same key is carried out once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class KeyClaim:
    """A request with an idempotency key that is running.

    ``fingerprint`` is a hash of the request, ``owner`` identifies the attempt.
    """

    tenant_id: UUID
    key: str
    fingerprint: bytes
    owner: UUID


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The stored answer of a request with an idempotency key."""

    status: int
    content_type: str | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier request with the same key.

    A finished one has no ``answer`` if it was not stored.
    """

    fingerprint: bytes
    finished: bool
    answer: StoredAnswer | None
