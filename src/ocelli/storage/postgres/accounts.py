"""The tables ``tenants`` and ``api_keys``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb

from ocelli.domain.accounts import Tenant, TenantOverview, Tier, hash_key, key_prefix
from ocelli.domain.erasures import RetentionDays
from ocelli.storage.postgres.paging import PAGE, older, page_values
from ocelli.storage.postgres.rows import to_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from ocelli.domain.accounts import ApiKey, KeyDraft, KeyUse
    from ocelli.domain.paging import PageRequest
    from ocelli.storage.postgres.rows import Connection, Row

_KEYS = (
    "SELECT k.*, t.name AS tenant_name, t.tier AS tenant_tier, t.created_at AS tenant_created_at,"
    " t.requests_per_minute AS tenant_requests_per_minute, t.unmetered AS tenant_unmetered,"
    " t.webhook_url AS tenant_webhook_url, t.vocabulary_mode, v.id AS vocabulary_id,"
    " v.name AS vocabulary_name, v.digest AS vocabulary_digest"
    " FROM api_keys k JOIN tenants t ON t.id = k.tenant_id"
    " LEFT JOIN vocabularies v ON v.id = t.vocabulary_id"
)
_ACTIVE = "k.revoked_at IS NULL AND coalesce(k.expires_at > now(), true)"


class PostgresAccounts:
    """Tenants and keys."""

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
        """Return the tenant of that name; create it if there is none."""
        cursor = await self._connection.execute(
            "INSERT INTO tenants (name, tier, requests_per_minute, unmetered, credits)"
            " VALUES (%(name)s, %(tier)s, %(per_minute)s, %(unmetered)s,"
            " CASE WHEN %(unmetered)s THEN 1000000 ELSE 0 END)"
            " ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING *",
            {
                "name": name,
                "tier": tier,
                "per_minute": requests_per_minute,
                "unmetered": unmetered,
            },
        )
        row = await cursor.fetchone()
        assert row is not None
        return _to_tenant(row)

    async def tenant(self, name: str) -> Tenant | None:
        """Return the tenant of that name."""
        cursor = await self._connection.execute("SELECT * FROM tenants WHERE name = %s", (name,))
        row = await cursor.fetchone()
        return None if row is None else _to_tenant(row)

    async def overview(self) -> Sequence[TenantOverview]:
        """Return all tenants by name, with what they have."""
        cursor = await self._connection.execute(
            "SELECT t.*, (SELECT count(*) FROM images i WHERE i.tenant_id = t.id"
            " AND i.deleted_at IS NULL) AS pictures,"
            " (SELECT count(*) FROM api_keys k WHERE k.tenant_id = t.id"
            f" AND {_ACTIVE}) AS keys FROM tenants t ORDER BY t.name".encode()
        )
        return [
            TenantOverview(
                _to_tenant(row),
                row["pictures"],
                row["storage_bytes"],
                row["keys"],
                RetentionDays(**row["retention_days"]),
            )
            for row in await cursor.fetchall()
        ]

    async def add_key(self, tenant_id: UUID, key: str, draft: KeyDraft) -> ApiKey:
        """Store the hash of ``key``; a known key leaves its row unchanged. Return the row."""
        await self._connection.execute(
            "INSERT INTO api_keys (tenant_id, name, description, scopes, metadata, key_hash,"
            " prefix, expires_at, member_id) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (key_hash) DO NOTHING",
            (
                tenant_id,
                draft.name,
                draft.description,
                list(draft.scopes),
                Jsonb(draft.metadata),
                hash_key(key),
                key_prefix(key),
                draft.expires_at,
                draft.member_id,
            ),
        )
        stored = await self.key_by_hash(hash_key(key))
        assert stored is not None
        return stored

    async def key_by_hash(self, key_hash: bytes) -> ApiKey | None:
        """Return the key of this hash, also a revoked or expired one; None if unknown."""
        return await self._one("k.key_hash = %s", (key_hash,))

    async def key(self, tenant_id: UUID, id: UUID) -> ApiKey | None:
        """Return a key of the tenant, also a revoked or expired one; None if unknown."""
        return await self._one("k.tenant_id = %s AND k.id = %s", (tenant_id, id))

    async def oldest_admin(self, tenant: str) -> ApiKey | None:
        """Return the oldest active key that may do everything, of the tenant of that name."""
        return await self._one(
            f"t.name = %s AND 'admin' = ANY(k.scopes) AND {_ACTIVE} ORDER BY k.created_at LIMIT 1",
            (tenant,),
        )

    async def keys(self) -> Sequence[ApiKey]:
        """Return the keys of all tenants, newest first, at most 1,000."""
        cursor = await self._connection.execute(f"{_KEYS} ORDER BY k.created_at DESC LIMIT 1000")
        return [to_key(row) for row in await cursor.fetchall()]

    async def page(
        self, tenant_id: UUID, *, inactive: bool, page: PageRequest
    ) -> tuple[Sequence[ApiKey], int]:
        """Return a page, newest first, and the total number.

        ``inactive`` includes revoked and expired keys.
        """
        where = "WHERE k.tenant_id = %(tenant)s" + ("" if inactive else f" AND {_ACTIVE}")
        values = {"tenant": tenant_id, **page_values(page)}
        cursor = await self._connection.execute(
            f"{_KEYS} {where} AND {older(page, 'k.')} ORDER BY k.created_at DESC, k.id {PAGE}",
            values,
        )
        keys = [to_key(row) for row in await cursor.fetchall()]
        cursor = await self._connection.execute(
            f"SELECT count(*) AS total FROM api_keys k {where}", values
        )
        row = await cursor.fetchone()
        return keys, row["total"] if row else 0

    async def change_key(
        self,
        tenant_id: UUID,
        id: UUID,
        *,
        name: str | None,
        description: str | None,
        metadata: Mapping[str, Any],
    ) -> ApiKey | None:
        """Change a key and return it; None leaves a field unchanged, metadata is merged.

        Returns None if there is no such key.
        """
        await self._connection.execute(
            "UPDATE api_keys SET name = coalesce(%s, name),"
            " description = nullif(coalesce(%s, description), ''), metadata = metadata || %s"
            " WHERE tenant_id = %s AND id = %s",
            (name, description, Jsonb(metadata), tenant_id, id),
        )
        return await self.key(tenant_id, id)

    async def revoke_key(self, tenant_id: UUID, id: UUID, metadata: Mapping[str, Any]) -> bool:
        """Revoke a key and merge ``metadata``; False if it is revoked already, or unknown."""
        cursor = await self._connection.execute(
            "UPDATE api_keys SET revoked_at = now(), metadata = metadata || %s"
            " WHERE tenant_id = %s AND id = %s AND revoked_at IS NULL",
            (Jsonb(metadata), tenant_id, id),
        )
        return cursor.rowcount == 1

    async def revoke(self, prefix_or_id: str) -> Sequence[tuple[UUID, UUID]]:
        """Revoke the matching keys; return the tenants and ids of those that were active."""
        cursor = await self._connection.execute(
            "UPDATE api_keys SET revoked_at = now()"
            " WHERE revoked_at IS NULL AND (prefix = %(it)s OR id::text = %(it)s)"
            " RETURNING tenant_id, id",
            {"it": prefix_or_id},
        )
        return [(row["tenant_id"], row["id"]) for row in await cursor.fetchall()]

    async def touch(self, used: Mapping[UUID, KeyUse]) -> None:
        """Add the uses of keys to their rows."""
        async with self._connection.cursor() as cursor:
            await cursor.executemany(
                "UPDATE api_keys SET last_used_at = greatest(last_used_at, %s),"
                " usage_count = usage_count + %s WHERE id = %s",
                [(use.last_used_at, use.count, id) for id, use in sorted(used.items())],
            )

    async def _one(self, where: str, values: tuple[Any, ...]) -> ApiKey | None:
        cursor = await self._connection.execute(f"{_KEYS} WHERE {where}", values)
        row = await cursor.fetchone()
        return to_key(row) if row else None


def _to_tenant(row: Row) -> Tenant:
    return Tenant(
        id=row["id"],
        name=row["name"],
        tier=Tier(row["tier"]),
        created_at=row["created_at"],
        requests_per_minute=row["requests_per_minute"],
        unmetered=row["unmetered"],
    )
