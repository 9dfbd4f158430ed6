"""Who is asking, and how often."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ocelli.domain.accounts import (
    KEY_PATTERN,
    TIER_LIMITS,
    ApiKey,
    Tier,
    hash_key,
    new_key,
)
from ocelli.domain.errors import DeactivatedKey, ExpiredKey, InvalidKey, RateLimited

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from ocelli.domain.accounts import TierLimits
    from ocelli.domain.ports import Database

REMEMBERED_FOR = 2.0
REMEMBERED_KEYS = 10_000


class Accounts:
    """Keys: issuing, checking, revoking.

    A key that was good is remembered for two seconds, so a revoked one dies within two seconds.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[bytes, tuple[float, ApiKey]] = {}
        self._used: dict[UUID, datetime] = {}

    async def authenticate(self, key: str | None) -> ApiKey:
        """The key's record. Raises InvalidKey, ExpiredKey or DeactivatedKey."""
        if not key:
            raise InvalidKey(
                "An API key is required: send `Authorization: Bearer aion_...`. "
                "`ocelli keys create` makes one."
            )
        if not KEY_PATTERN.fullmatch(key):
            raise InvalidKey("This is not an API key: keys look like `aion_` and 43 characters.")
        hashed = hash_key(key)
        found = self._remembered(hashed) or await self._look_up(hashed)
        now = datetime.now(UTC)
        if found.expires_at is not None and found.expires_at <= now:
            raise ExpiredKey("This API key has expired.")
        self._used[found.id] = now
        return found

    async def write_down_use(self) -> None:
        """Save when keys were last used: once in a while, not once per request."""
        used, self._used = self._used, {}
        if used:
            async with self._database.transaction() as tx:
                await tx.accounts.touch(used)

    async def create(
        self,
        tenant: str,
        tier: Tier,
        *,
        name: str,
        expires_at: datetime | None = None,
        key: str | None = None,
    ) -> str:
        """A new key (or ``key``) for the tenant of that name, made if there is none."""
        secret = key or new_key()
        async with self._database.transaction() as tx:
            owner = await tx.accounts.add_tenant(tenant, tier)
            await tx.accounts.add_key(owner.id, secret, name=name, expires_at=expires_at)
        return secret

    async def keys(self) -> Sequence[ApiKey]:
        """Every key, newest first."""
        async with self._database.transaction() as tx:
            return await tx.accounts.keys()

    async def revoke(self, prefix_or_id: str) -> int:
        """How many active keys that ended."""
        async with self._database.transaction() as tx:
            return await tx.accounts.revoke(prefix_or_id)

    def _remembered(self, hashed: bytes) -> ApiKey | None:
        since, key = self._known.get(hashed, (0.0, None))
        return key if time.monotonic() - since < REMEMBERED_FOR else None

    async def _look_up(self, hashed: bytes) -> ApiKey:
        async with self._database.transaction() as tx:
            key = await tx.accounts.key_by_hash(hashed)
        if key is None:
            raise InvalidKey("This API key is not known here.")
        if key.revoked_at is not None:
            raise DeactivatedKey("This API key has been revoked.")
        if len(self._known) >= REMEMBERED_KEYS:
            self._known.clear()
        self._known[hashed] = (time.monotonic(), key)
        return key


@dataclass(frozen=True, slots=True)
class RateState:
    """What the ``X-RateLimit-*`` headers say; ``reset`` is in Unix seconds."""

    limit: int
    remaining: int
    reset: int
    exceeded: bool = False

    def enforce(self, now: float | None = None) -> None:
        """Raise RateLimited if the share is used up."""
        if self.exceeded:
            wait = max(1, self.reset - int(time.time() if now is None else now))
            raise RateLimited(
                f"More than {self.limit} requests in this minute. Try again in {wait} s.",
                retry_after=wait,
            )


class RateLimiter:
    """So many requests per key and calendar minute."""

    def __init__(self, limits: Mapping[Tier, TierLimits] = TIER_LIMITS) -> None:
        self._limits = limits
        self._minute = 0
        self._counts: dict[UUID, int] = {}

    def count(self, key: ApiKey, now: float | None = None) -> RateState:
        """Count one request. The share is used up when ``exceeded`` is set."""
        at = time.time() if now is None else now
        minute = int(at // 60)
        if minute != self._minute:
            self._minute, self._counts = minute, {}
        override = key.tenant.requests_per_minute
        limit = override or self._limits[key.tenant.tier].requests_per_minute
        used = self._counts[key.id] = self._counts.get(key.id, 0) + 1
        return RateState(limit, max(0, limit - used), (minute + 1) * 60, exceeded=used > limit)
