"""Tenants, their keys, and what a tier allows."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from ocelli.domain.erasures import RetentionDays
    from ocelli.domain.tagging import TagVocabulary

MEGABYTE = 1024 * 1024
DEFAULT_TENANT = "default"  # that of the owner of the installation
KEY_PATTERN = re.compile(r"^[a-z]+_[A-Za-z0-9_-]{20,}$")


class Tier(StrEnum):
    """The plan of a tenant; it decides the limits."""

    FREE = "free"
    STARTER = "starter"
    PROFESSIONAL = "professional"
    ENTERPRISE = "enterprise"


@dataclass(frozen=True, slots=True)
class TierLimits:
    """The limits of one tier; None means unlimited."""

    requests_per_minute: int
    files_per_batch: int
    concurrent_uploads: int
    monthly_uploads: int | None
    monthly_descriptions: int | None
    max_image_bytes: int
    storage_bytes: int | None


TIER_LIMITS: dict[Tier, TierLimits] = {
    Tier.FREE: TierLimits(10, 10, 10, 1_000, 15, 25 * MEGABYTE, 1024 * MEGABYTE),
    Tier.STARTER: TierLimits(30, 20, 20, 10_000, 300, 50 * MEGABYTE, 25 * 1024 * MEGABYTE),
    Tier.PROFESSIONAL: TierLimits(
        100, 20, 30, 50_000, 2_500, 100 * MEGABYTE, 100 * 1024 * MEGABYTE
    ),
    Tier.ENTERPRISE: TierLimits(500, 50, 50, None, 10_000, 200 * MEGABYTE, None),
}


@dataclass(frozen=True, slots=True)
class Tenant:
    """An account that owns pictures. ``requests_per_minute`` overrides the tier's.

    ``unmetered`` tenants have no monthly limits; the machine's own tenant is one. ``vocabulary`` is
    what tags are chosen from where a request names none, ``webhook_url`` what is called for batches
    that name none. ``key_id`` is the key that it acts by, which what is asked for is counted for;
    None for the machine's own work.
    """

    id: UUID
    name: str
    tier: Tier
    created_at: datetime
    requests_per_minute: int | None = None
    unmetered: bool = False
    vocabulary: TagVocabulary | None = None
    key_id: UUID | None = None
    webhook_url: str | None = None


@dataclass(frozen=True, slots=True)
class TenantOverview:
    """A tenant, its pictures and their bytes, its active keys, and how long things are kept."""

    tenant: Tenant
    pictures: int
    bytes: int
    keys: int
    retention_days: RetentionDays


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A stored API key: its first characters and properties. The key itself is never stored.

    One without a ``member_id`` is the owner's.
    """

    id: UUID
    tenant: Tenant
    name: str
    prefix: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    description: str | None = None
    scopes: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    usage_count: int = 0
    member_id: UUID | None = None

    def is_active(self, now: datetime) -> bool:
        """Whether the key is neither revoked nor expired at ``now``."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


@dataclass(frozen=True, slots=True)
class KeyDraft:
    """A key to be created. ``scopes`` say what it may do (see ocelli.domain.scopes)."""

    name: str
    scopes: tuple[str, ...]
    description: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    expires_at: datetime | None = None
    member_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class KeyUse:
    """The requests made with a key since its use was last stored."""

    last_used_at: datetime
    count: int


def new_key() -> str:
    """Return a new secret key with 256 random bits."""
    return f"aion_{secrets.token_urlsafe(32)}"


def hash_key(key: str) -> bytes:
    """Return the SHA-256 that is stored. Keys are long and random, so no slow hash is needed."""
    return hashlib.sha256(key.encode()).digest()


def key_prefix(key: str) -> str:
    """Return the beginning of a key, which lists may show."""
    return key[:12]
