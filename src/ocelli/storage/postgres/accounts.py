"""The tables ``tenants`` and ``api_keys``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.domain.accounts import Tenant, Tier, hash_key, key_prefix
from ocelli.storage.postgres.rows import to_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from ocelli.domain.accounts import ApiKey
    from ocelli.storage.postgres.rows import Connection

_KEYS = (
    "SELECT k.*, t.name AS tenant_name, t.tier AS tenant_tier, t.created_at AS tenant_created_at,"
    " t.requests_per_minute AS tenant_requests_per_minute, t.unmetered AS tenant_unmetered"
    " FROM api_keys k JOIN tenants t ON t.id = k.tenant_id"
)


class PostgresAccounts:
    """See ports.Accounts."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add_tenant(
        self,
        name: str,
        tier: Tier,
        *,
        requests_per_minute: int | None = None,
        unmetered: bool = False,
    ) -> Tenant:
        """See ports.Accounts."""
        cursor = await self._connection.execute(
            "INSERT INTO tenants (name, tier, requests_per_minute, unmetered)"
            " VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING *",
            (name, tier, requests_per_minute, unmetered),
        )
        row = await cursor.fetchone()
        assert row is not None
        return Tenant(
            id=row["id"],
            name=row["name"],
            tier=Tier(row["tier"]),
            created_at=row["created_at"],
            requests_per_minute=row["requests_per_minute"],
            unmetered=row["unmetered"],
        )

    async def add_key(
        self, tenant_id: UUID, key: str, *, name: str, expires_at: datetime | None
    ) -> ApiKey:
        """Store the hash of ``key``; the same key again is the same row."""
        await self._connection.execute(
            "INSERT INTO api_keys (tenant_id, name, key_hash, prefix, expires_at)"
            " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (key_hash) DO NOTHING",
            (tenant_id, name, hash_key(key), key_prefix(key), expires_at),
        )
        stored = await self.key_by_hash(hash_key(key))
        assert stored is not None
        return stored

    async def key_by_hash(self, key_hash: bytes) -> ApiKey | None:
        """Active or not: the caller decides what a revoked or expired key means."""
        cursor = await self._connection.execute(f"{_KEYS} WHERE k.key_hash = %s", (key_hash,))
        row = await cursor.fetchone()
        return to_key(row) if row else None

    async def keys(self) -> Sequence[ApiKey]:
        """Of every tenant, newest first, at most 1,000."""
        cursor = await self._connection.execute(f"{_KEYS} ORDER BY k.created_at DESC LIMIT 1000")
        return [to_key(row) for row in await cursor.fetchall()]

    async def revoke(self, prefix_or_id: str) -> int:
        """See ports.Accounts."""
        cursor = await self._connection.execute(
            "UPDATE api_keys SET revoked_at = now()"
            " WHERE revoked_at IS NULL AND (prefix = %(it)s OR id::text = %(it)s)",
            {"it": prefix_or_id},
        )
        return cursor.rowcount

    async def touch(self, used: dict[UUID, datetime]) -> None:
        """See ports.Accounts."""
        async with self._connection.cursor() as cursor:
            await cursor.executemany(
                "UPDATE api_keys SET last_used_at = greatest(last_used_at, %s) WHERE id = %s",
                [(when, id) for id, when in sorted(used.items())],
            )
