"""The tables ``escalation_policies`` and ``escalation_spending``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg.types.json import Jsonb

from ocelli.domain.escalation import (
    Policy,
    Spending,
    StoredPolicy,
    policy_from_json,
    policy_to_json,
)
from ocelli.storage.postgres.rows import escalation_to_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from uuid import UUID

    from ocelli.domain.escalation import Escalation
    from ocelli.storage.postgres.rows import Connection, Row

# The spending of a row is that of its own period: see ``StoredPolicy.period``.
_SELECT = (
    "SELECT p.*, s.pictures, s.escalated, s.calls, s.hundredths FROM escalation_policies p"
    " LEFT JOIN escalation_spending s ON s.policy_id = p.id AND s.period ="
    " date_trunc('month', CASE WHEN p.name IS NULL THEN p.created_at ELSE now() END"
    " AT TIME ZONE 'UTC')::date"
)


class PostgresPolicies:
    """Escalation policies, and what was spent of their budgets."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def lock(self, tenant_id: UUID) -> int:
        """Let others wait who would change the tenant's policies; return how many it has."""
        await self._connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"policies:{tenant_id}",)
        )
        cursor = await self._connection.execute(
            "SELECT count(*) AS count FROM escalation_policies"
            " WHERE tenant_id = %s AND name IS NOT NULL",
            (tenant_id,),
        )
        row = await cursor.fetchone()
        return int(row["count"]) if row else 0

    async def put(
        self, tenant_id: UUID, name: str | None, policy: Policy, *, is_default: bool
    ) -> UUID:
        """Store a policy in the place of the one with this name, if there is one; return its id.

        A default one takes the place of the earlier default.
        """
        if is_default:
            await self._connection.execute(
                "UPDATE escalation_policies SET is_default = false"
                " WHERE tenant_id = %s AND is_default AND name IS DISTINCT FROM %s",
                (tenant_id, name),
            )
        cursor = await self._connection.execute(
            "INSERT INTO escalation_policies (tenant_id, name, policy, is_default)"
            " VALUES (%s, %s, %s, %s) ON CONFLICT (tenant_id, name) DO UPDATE"
            " SET policy = excluded.policy, is_default = excluded.is_default,"
            " updated_at = clock_timestamp() RETURNING id",
            (tenant_id, name, Jsonb(policy_to_json(policy)), is_default),
        )
        row = await cursor.fetchone()
        assert row is not None
        id: UUID = row["id"]
        return id

    async def all(self, tenant_id: UUID) -> Sequence[StoredPolicy]:
        """Return the named ones of a tenant, by name."""
        cursor = await self._connection.execute(
            f"{_SELECT} WHERE p.tenant_id = %s AND p.name IS NOT NULL ORDER BY p.name", (tenant_id,)
        )
        return [_to_policy(row) for row in await cursor.fetchall()]

    async def find(self, tenant_id: UUID, id_or_name: str) -> StoredPolicy | None:
        """Return the tenant's named policy with this id or name."""
        cursor = await self._connection.execute(
            f"{_SELECT} WHERE p.tenant_id = %s AND p.name IS NOT NULL"
            " AND (p.id::text = lower(%s) OR p.name = %s)",
            (tenant_id, id_or_name, id_or_name),
        )
        row = await cursor.fetchone()
        return None if row is None else _to_policy(row)

    async def default(self, tenant_id: UUID) -> StoredPolicy | None:
        """Return the tenant's default policy, if it has one."""
        cursor = await self._connection.execute(
            f"{_SELECT} WHERE p.tenant_id = %s AND p.is_default", (tenant_id,)
        )
        row = await cursor.fetchone()
        return None if row is None else _to_policy(row)

    async def get(self, id: UUID) -> StoredPolicy | None:
        """Return a policy, also one without a name; None if it was deleted."""
        cursor = await self._connection.execute(f"{_SELECT} WHERE p.id = %s", (id,))
        row = await cursor.fetchone()
        return None if row is None else _to_policy(row)

    async def delete(self, id: UUID) -> None:
        """Delete a policy with its spending; pictures that wait keep the first step's answer."""
        await self._connection.execute("DELETE FROM escalation_policies WHERE id = %s", (id,))

    async def lock_spending(self, policy_id: UUID, period: date) -> Spending | None:
        """Return what was spent; others that would change it wait until this transaction ends.

        None if the policy was deleted.
        """
        await self._connection.execute(
            "INSERT INTO escalation_spending (policy_id, period)"
            " SELECT id, %s FROM escalation_policies WHERE id = %s ON CONFLICT DO NOTHING",
            (period, policy_id),
        )
        cursor = await self._connection.execute(
            "SELECT pictures, escalated, calls, hundredths FROM escalation_spending"
            " WHERE policy_id = %s AND period = %s FOR UPDATE",
            (policy_id, period),
        )
        row = await cursor.fetchone()
        return None if row is None else Spending(**row)

    async def spend(self, policy_id: UUID, period: date, more: Spending) -> None:
        """Add to what was spent, or with negative numbers give back; of a deleted policy nothing.

        Locks what was spent until the commit.
        """
        if more == Spending() or await self.lock_spending(policy_id, period) is None:
            return
        await self._connection.execute(
            "UPDATE escalation_spending SET pictures = pictures + %s, escalated = escalated + %s,"
            " calls = calls + %s, hundredths = hundredths + %s"
            " WHERE policy_id = %s AND period = %s",
            (more.pictures, more.escalated, more.calls, more.hundredths, policy_id, period),
        )

    async def lock_record(self, analysis_id: UUID) -> bool:
        """Let others wait who run the same analysis; return whether it has a record already."""
        cursor = await self._connection.execute(
            "SELECT escalation IS NOT NULL AS has_record FROM analyses WHERE id = %s FOR UPDATE",
            (analysis_id,),
        )
        row = await cursor.fetchone()
        return row is not None and row["has_record"]

    async def put_record(self, analysis_id: UUID, escalation: Escalation) -> None:
        """Store the record of an analysis that goes on."""
        await self._connection.execute(
            "UPDATE analyses SET escalation = %s::jsonb WHERE id = %s",
            (escalation_to_json(escalation), analysis_id),
        )

    async def purge(self, *, older_than: float) -> int:
        """Delete policies of requests older than so many seconds, of which nothing waits."""
        cursor = await self._connection.execute(
            "DELETE FROM escalation_policies p WHERE name IS NULL"
            " AND created_at < now() - make_interval(secs => %s)"
            " AND NOT EXISTS (SELECT 1 FROM analyses a WHERE a.policy_id = p.id"
            " AND a.status IN ('queued', 'processing'))",
            (older_than,),
        )
        return cursor.rowcount


def _to_policy(row: Row) -> StoredPolicy:
    return StoredPolicy(
        id=row["id"],
        tenant_id=row["tenant_id"],
        name=row["name"],
        policy=policy_from_json(row["policy"]),
        is_default=row["is_default"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        spent=Spending(
            row["pictures"] or 0, row["escalated"] or 0, row["calls"] or 0, row["hundredths"] or 0
        ),
    )
