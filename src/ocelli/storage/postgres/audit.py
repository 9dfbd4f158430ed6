"""The table ``audit_events``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb

from ocelli.domain.audit import ACTIONS, AuditEntry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.domain.audit import AuditEvent, AuditQuery
    from ocelli.storage.postgres.rows import Connection, Row

_FILTERS = {
    "type": "type = %(type)s",
    "severity": "severity = %(severity)s",
    "result": "result = %(result)s",
    "member_id": "member_id = %(member_id)s",
    "since": "occurred_at >= %(since)s",
    "before": "occurred_at < %(before)s",
}


class PostgresAudit:
    """Adds events in the transaction that they are about, and reads them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, event: AuditEvent) -> None:
        """Record an event."""
        kind, id = event.resource or (None, None)
        await self._connection.execute(
            "INSERT INTO audit_events (tenant_id, type, severity, action, result, member_id,"
            " key_id, address, resource_type, resource_id, error_message, metadata)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                event.actor.tenant_id,
                event.type,
                event.severity,
                ACTIONS[event.type],
                event.result,
                event.actor.member_id,
                event.actor.key_id,
                event.actor.address,
                kind,
                id,
                event.error,
                Jsonb(dict(event.metadata)) if event.metadata else None,
            ),
        )

    async def page(
        self, tenant_id: UUID, query: AuditQuery, *, limit: int, offset: int
    ) -> tuple[Sequence[AuditEntry], int]:
        """Return a page, the newest first, and the total number."""
        values = {name: getattr(query, name) for name in _FILTERS}
        where = " AND ".join(
            ["tenant_id = %(tenant)s"]
            + [sql for name, sql in _FILTERS.items() if values[name] is not None]
        )
        values |= {"tenant": tenant_id, "limit": limit, "offset": offset}
        rows = await self._rows(
            f"SELECT * FROM audit_events WHERE {where} ORDER BY occurred_at DESC, id"
            " LIMIT %(limit)s OFFSET %(offset)s",
            values,
        )
        (total,) = await self._rows(
            f"SELECT count(*) AS total FROM audit_events WHERE {where}", values
        )
        return [_entry(row) for row in rows], int(total["total"])

    async def get(self, tenant_id: UUID, id: UUID) -> AuditEntry | None:
        """Return an event, or None."""
        rows = await self._rows(
            "SELECT * FROM audit_events WHERE tenant_id = %s AND id = %s", (tenant_id, id)
        )
        return _entry(rows[0]) if rows else None

    async def purge(self, *, older_than: float) -> None:
        """Remove events of more than so many seconds ago."""
        await self._connection.execute(
            "DELETE FROM audit_events WHERE occurred_at < now() - make_interval(secs => %s)",
            (older_than,),
        )

    async def _rows(self, sql: str, values: Any) -> list[Row]:
        cursor = await self._connection.execute(sql.encode(), values)
        return await cursor.fetchall()


def _entry(row: Row) -> AuditEntry:
    return AuditEntry(
        id=row["id"],
        type=row["type"],
        occurred_at=row["occurred_at"],
        severity=row["severity"],
        action=row["action"],
        result=row["result"],
        member_id=row["member_id"],
        key_id=row["key_id"],
        address=row["address"],
        resource_type=row["resource_type"],
        resource_id=row["resource_id"],
        error=row["error_message"],
        metadata=row["metadata"],
    )
