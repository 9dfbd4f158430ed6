"""The table ``erasures``: receipts, and what is still to be erased."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from psycopg.types.json import Jsonb

from ocelli.domain.erasures import Erasure, ErasureKind, ErasureReason

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ocelli.storage.postgres.rows import Connection, Row

_MOMENTS = ("requested_at", "completed_at")
_RETENTION = "(t.retention_days ->> '{kind}')::integer"
_DUE = "{since} < now() - make_interval(days => " + _RETENTION + ")"


class PostgresErasures:
    """The repository of erasures; what they erase is in ``postgres.erasing``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, erasure: Erasure) -> bool:
        """Insert an erasure; False if there is one of that id."""
        rows = await self._rows(
            "INSERT INTO erasures (id, tenant_id, kind, image_ids, reason, requested_by,"
            " requested_at, completed_at, counts) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (id) DO NOTHING RETURNING id",
            (
                erasure.id,
                erasure.tenant_id,
                erasure.kind,
                list(erasure.image_ids),
                erasure.reason,
                erasure.requested_by,
                erasure.requested_at,
                erasure.completed_at,
                Jsonb(dict(erasure.counts)),
            ),
        )
        return bool(rows)

    async def get(self, tenant_id: UUID, id: UUID) -> Erasure | None:
        """Return an erasure of the tenant, or None."""
        rows = await self._rows(
            "SELECT * FROM erasures WHERE tenant_id = %s AND id = %s", (tenant_id, id)
        )
        return to_erasure(rows[0]) if rows else None

    async def page(
        self, tenant_id: UUID, *, limit: int, offset: int
    ) -> tuple[Sequence[Erasure], int]:
        """Return a page, the newest first, and the number of all."""
        rows = await self._rows(
            "SELECT * FROM erasures WHERE tenant_id = %s ORDER BY requested_at DESC, id"
            " LIMIT %s OFFSET %s",
            (tenant_id, limit, offset),
        )
        (counted,) = await self._rows(
            "SELECT count(*) AS total FROM erasures WHERE tenant_id = %s", (tenant_id,)
        )
        return [to_erasure(row) for row in rows], int(counted["total"])

    async def open(self, *, limit: int, after: Erasure | None = None) -> Sequence[Erasure]:
        """Return erasures of all tenants that are not complete, the oldest first.

        With ``after``, those that follow it in that order.
        """
        moment, id = (after.requested_at, after.id) if after else ("-infinity", None)
        rows = await self._rows(
            "SELECT * FROM erasures WHERE completed_at IS NULL"
            " AND (requested_at > %(moment)s::timestamptz"
            "  OR requested_at = %(moment)s::timestamptz AND id > %(id)s)"
            " ORDER BY requested_at, id LIMIT %(limit)s",
            {"moment": moment, "id": id, "limit": limit},
        )
        return [to_erasure(row) for row in rows]

    async def hold_off(self, tenant_id: UUID) -> None:
        """Let no erasure of the tenant's pictures end until the transaction does.

        A use case that stores something about pictures that it read earlier calls this before it
        takes any other lock, then asks ``reached``: what is stored then is seen by the erasure.
        """
        await self._connection.execute(
            "SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, 0))", (_lock(tenant_id),)
        )

    async def wait_for_writers(self, tenant_id: UUID) -> None:
        """Wait for those that ``hold_off`` lets store, and keep off others until the end."""
        await self._connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (_lock(tenant_id),)
        )

    async def reached(self, tenant_id: UUID, ids: Collection[UUID]) -> bool:
        """Return whether one of the pictures was erased within a day, or is about to be."""
        rows = await self._rows(
            "SELECT FROM erasures WHERE tenant_id = %s AND image_ids && %s"
            " AND (completed_at IS NULL OR completed_at > now() - interval '1 day') LIMIT 1",
            (tenant_id, list(ids)),
        )
        return bool(rows)

    async def lock(self, id: UUID) -> Erasure | None:
        """Return an open erasure, which no other transaction carries out until this one ends.

        None if it is complete.
        """
        rows = await self._rows(
            "SELECT * FROM erasures WHERE id = %s AND completed_at IS NULL FOR UPDATE", (id,)
        )
        return to_erasure(rows[0]) if rows else None

    async def count(self, id: UUID, counts: Mapping[str, int]) -> None:
        """Add to the numbers of an erasure."""
        await self._connection.execute(
            "UPDATE erasures SET counts = counts || (SELECT coalesce(jsonb_object_agg(key,"
            " value::bigint + coalesce((counts ->> key)::bigint, 0)), '{}')"
            " FROM jsonb_each_text(%s::jsonb) WHERE value::bigint > 0) WHERE id = %s",
            (Jsonb(dict(counts)), id),
        )

    async def complete(self, id: UUID) -> Erasure:
        """Note that all of it is erased, and return the receipt."""
        (row,) = await self._rows(
            "UPDATE erasures SET completed_at = clock_timestamp() WHERE id = %s RETURNING *", (id,)
        )
        return to_erasure(row)

    async def due_pictures(self, *, limit: int, of_one_tenant: int) -> Sequence[tuple[UUID, UUID]]:
        """Return tenant and id of pictures that are older than their tenant keeps them.

        At most ``of_one_tenant`` of each, oldest first. What is being worked on, or still waits for
        it, is left for another time.
        """
        rows = await self._rows(
            "SELECT t.id AS tenant_id, due.id FROM tenants t CROSS JOIN LATERAL ("
            " SELECT i.id FROM images i WHERE i.tenant_id = t.id"
            f" AND {_DUE.format(since='i.created_at', kind='pictures')}"
            " AND (i.variant_status NOT IN ('pending', 'processing')"
            "  OR i.updated_at < now() - interval '1 day')"
            " AND NOT EXISTS (SELECT 1 FROM analyses a WHERE a.image_id = i.id"
            "  AND a.status IN ('queued', 'processing'))"
            " AND NOT EXISTS (SELECT 1 FROM erasures e WHERE e.completed_at IS NULL"
            "  AND i.id = ANY(e.image_ids))"
            " ORDER BY i.created_at LIMIT %s) AS due"
            " WHERE t.retention_days ->> 'pictures' IS NOT NULL LIMIT %s",
            (of_one_tenant, limit),
        )
        return [(row["tenant_id"], row["id"]) for row in rows]

    async def purge_by_retention(self) -> dict[str, int]:
        """Delete chat sessions and the request log that are older than their tenants keep them."""
        removed = {}
        for table, kind, since in (
            ("chat_sessions", "chat_sessions", "coalesce(last_message_at, r.created_at)"),
            ("request_log", "request_log", "at"),
        ):
            cursor = await self._connection.execute(
                f"DELETE FROM {table} r USING tenants t WHERE r.tenant_id = t.id"
                f" AND {_DUE.format(since=since, kind=kind)}".encode()
            )
            removed[kind] = cursor.rowcount
        return removed

    async def _rows(self, sql: str, values: Any) -> list[Row]:
        cursor = await self._connection.execute(sql.encode(), values)
        return await cursor.fetchall()


def _lock(tenant_id: UUID) -> str:
    return f"erasures:{tenant_id}"


def from_json(text: str) -> Erasure:
    """Return the erasure of a row that was written as JSON. Raises ValueError for another text."""
    try:
        row = json.loads(text)
        at = {name: row[name] and datetime.fromisoformat(row[name]) for name in _MOMENTS}
        ids = {name: UUID(row[name]) for name in ("id", "tenant_id")}
        return to_erasure({**row, **at, **ids, "image_ids": [*map(UUID, row["image_ids"])]})
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"this is no receipt: {error!r}") from error


def to_erasure(row: Row) -> Erasure:
    """Return the erasure of a row."""
    return Erasure(
        id=row["id"],
        tenant_id=row["tenant_id"],
        kind=ErasureKind(row["kind"]),
        image_ids=tuple(row["image_ids"]),
        reason=ErasureReason(row["reason"]),
        requested_by=row["requested_by"],
        requested_at=row["requested_at"],
        completed_at=row["completed_at"],
        counts=row["counts"],
    )
