"""What the use cases around keys need from the database: a part of ``ports.Transaction``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from ocelli.domain.accounts import ApiKey, KeyDraft, KeyUse, Tenant, Tier
    from ocelli.domain.idempotency import Claim, Earlier, StoredAnswer
    from ocelli.domain.rates import Budget, Grant


class Accounts(Protocol):
    """Tenants and keys."""

    async def add_tenant(
        self,
        name: str,
        tier: Tier,
        *,
        requests_per_minute: int | None = None,
        unmetered: bool = False,
    ) -> Tenant:
        """The tenant of that name, created if there is none."""
        ...

    async def add_key(self, tenant_id: UUID, key: str, draft: KeyDraft) -> ApiKey:
        """Store the hash of ``key``; the same key again is the same row, unchanged."""
        ...

    async def key_by_hash(self, key_hash: bytes) -> ApiKey | None:
        """Active or not: the caller decides what a revoked or expired key means."""
        ...

    async def key(self, tenant_id: UUID, id: UUID) -> ApiKey | None:
        """Active or not."""
        ...

    async def keys(self) -> Sequence[ApiKey]:
        """Of every tenant, newest first, at most 1,000."""
        ...

    async def page(
        self, tenant_id: UUID, *, inactive: bool, limit: int, offset: int
    ) -> tuple[Sequence[ApiKey], int]:
        """Newest first, and how many there are in all; revoked and expired ones if ``inactive``."""
        ...

    async def change_key(
        self,
        tenant_id: UUID,
        id: UUID,
        *,
        name: str | None,
        description: str | None,
        metadata: Mapping[str, Any],
    ) -> ApiKey | None:
        """None leaves a field as it is, metadata is merged. None: no such key."""
        ...

    async def revoke_key(self, tenant_id: UUID, id: UUID, metadata: Mapping[str, Any]) -> bool:
        """Revoke it and merge ``metadata``; once revoked nothing changes. False: no such key."""
        ...

    async def revoke(self, prefix_or_id: str) -> int:
        """Revoke every key that matches; the number of those that were active."""
        ...

    async def touch(self, used: Mapping[UUID, KeyUse]) -> None:
        """Add to what is known of the use of keys."""
        ...


class Rates(Protocol):
    """The minutes of keys, shared by all processes."""

    async def lease(self, budget: Budget, *, needed: int, wished: int) -> Grant:
        """What is needed as far as it is there, and up to ``wished`` while that leaves enough."""
        ...

    async def give_back(self, budget: Budget, count: int, *, reset: int) -> None:
        """Return what was leased of the minute that ends at ``reset`` (Unix seconds)."""
        ...


class IdempotencyKeys(Protocol):
    """What was answered to requests that must not be carried out twice."""

    async def claim(
        self, claim: Claim, *, abandoned_after: float, kept_for: float
    ) -> Earlier | None:
        """Make the key ours, or say who has it.

        Unfinished ones that nobody renewed for ``abandoned_after`` seconds, and finished ones older
        than ``kept_for`` seconds, are anybody's.
        """
        ...

    async def finish(self, claim: Claim, answer: StoredAnswer | None) -> None:
        """Keep the answer, or only that there was one; nothing if the claim is no longer ours."""
        ...

    async def release(self, claim: Claim) -> None:
        """As if it had not been; nothing if the claim is no longer ours."""
        ...

    async def renew(self, owners: Sequence[UUID]) -> None:
        """These are still at work."""
        ...

    async def purge(self, *, older_than: float) -> int:
        """Remove what nobody touched for so many seconds; how many that were."""
        ...
