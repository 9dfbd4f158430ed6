"""Requests that carry a key of the client's choice, so that repeating them does no harm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class KeyClaim:
    """One request that is being carried out.

    ``fingerprint`` tells the same request from another one, ``owner`` this attempt from the next.
    """

    tenant_id: UUID
    key: str
    fingerprint: bytes
    owner: UUID


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What was answered."""

    status: int
    content_type: str | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier request with the same key; finished without ``answer`` if that is not kept."""

    fingerprint: bytes
    finished: bool
    answer: StoredAnswer | None
