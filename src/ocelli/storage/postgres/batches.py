"""The table ``batches``; the items are rows of ``analyses``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ocelli.domain.analysis import Status, VerificationLevel
from ocelli.domain.batches import Batch, BatchKind, Progress
from ocelli.storage.postgres.analyses import PostgresAnalyses
from ocelli.storage.postgres.paging import PAGE, further, page_values
from ocelli.storage.postgres.rows import inputs_to_json, to_analysis

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from ocelli.domain.analysis import Analysis
    from ocelli.domain.paging import PageRequest
    from ocelli.storage.postgres.rows import Connection


class PostgresBatches:
    """The repository of batches; their items are analyses with the batch's id as ``request_id``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, batch: Batch) -> None:
        """Insert the row; its items must follow in the same transaction."""
        await self._connection.execute(
            "INSERT INTO batches (id, tenant_id, kind, level, total, inputs, created_at,"
            " webhook_url) VALUES (%s, %s, %s, %s, %s, %s::jsonb, %s, %s)",
            (
                batch.id,
                batch.tenant_id,
                batch.kind,
                batch.level,
                batch.total,
                inputs_to_json(batch.inputs),
                batch.created_at,
                batch.webhook_url,
            ),
        )

    async def get(self, tenant_id: UUID, id: UUID) -> Batch | None:
        """Return a batch; None if the tenant has none of that id."""
        cursor = await self._connection.execute(
            "SELECT * FROM batches WHERE tenant_id = %s AND id = %s", (tenant_id, id)
        )
        row = await cursor.fetchone()
        return _to_batch(row) if row else None

    async def progress(self, id: UUID) -> Progress:
        """Count its items by state."""
        cursor = await self._connection.execute(
            "SELECT status, count(*) AS number, min(started_at) AS started,"
            " max(completed_at) AS completed, sum(processing_ms) AS ms,"
            " count(processing_ms) AS timed FROM analyses WHERE request_id = %s GROUP BY status",
            (id,),
        )
        rows = await cursor.fetchall()
        timed = sum(row["timed"] for row in rows)
        return Progress(
            counts={Status(row["status"]): row["number"] for row in rows},
            started_at=min((r["started"] for r in rows if r["started"]), default=None),
            completed_at=max((r["completed"] for r in rows if r["completed"]), default=None),
            mean_ms=sum(row["ms"] or 0.0 for row in rows) / timed if timed else None,
        )

    async def results(
        self, id: UUID, *, include_failed: bool, page: PageRequest
    ) -> Sequence[Analysis]:
        """Return a page of items in their order, including unfinished ones."""
        condition = "" if include_failed else " AND status NOT IN ('failed', 'skipped')"
        cursor = await self._connection.execute(
            f"SELECT * FROM analyses WHERE request_id = %(id)s{condition} AND {further(page)}"
            f" ORDER BY position {PAGE}",
            {"id": id, **page_values(page)},
        )
        return [to_analysis(row) for row in await cursor.fetchall()]

    async def cancel(self, id: UUID, reason: str) -> int | None:
        """Skip the queued items; return how many. None, without changes, if all have ended.

        The analyses come before the batch, as where workers end one, and the meters after it: none
        waits in a circle.
        """
        ended = await PostgresAnalyses(self._connection).cancel(id, reason)
        cursor = await self._connection.execute(
            "UPDATE batches SET cancelled_at = clock_timestamp() WHERE id = %s"
            " AND cancelled_at IS NULL AND (%s > 0 OR EXISTS (SELECT 1 FROM analyses"
            " WHERE request_id = batches.id AND status IN ('queued', 'processing')))",
            (id, ended),
        )
        return ended if cursor.rowcount else None

    async def lock(self, id: UUID) -> Batch | None:
        """Lock a batch until the transaction ends; None if unknown, or announced already."""
        cursor = await self._connection.execute(
            "SELECT * FROM batches WHERE id = %s AND announced_at IS NULL FOR UPDATE", (id,)
        )
        row = await cursor.fetchone()
        return _to_batch(row) if row else None

    async def announced(self, id: UUID, *, at: datetime | None) -> None:
        """Note when its end was announced, so that it is announced once; None: that it was not."""
        await self._connection.execute(
            "UPDATE batches SET announced_at = %s WHERE id = %s", (at, id)
        )

    async def ended(self, *, limit: int) -> Sequence[UUID]:
        """Return batches that have ended and were not announced."""
        cursor = await self._connection.execute(
            "SELECT id FROM batches b WHERE announced_at IS NULL AND NOT EXISTS"
            " (SELECT FROM analyses a WHERE a.request_id = b.id"
            " AND a.status IN ('queued', 'processing')) ORDER BY created_at LIMIT %s",
            (limit,),
        )
        return [row["id"] for row in await cursor.fetchall()]

    async def purge(self, *, older_than: float) -> int:
        """Delete batches older than ``older_than`` seconds that have no items left.

        Descriptions of pictures of the library are left: they are those pictures' history.
        """
        cursor = await self._connection.execute(
            "DELETE FROM batches b WHERE created_at < now() - make_interval(secs => %s)"
            " AND NOT EXISTS (SELECT 1 FROM analyses a WHERE a.request_id = b.id"
            " AND (a.image_id IS NULL OR a.completed_at IS NULL))",
            (older_than,),
        )
        return cursor.rowcount


def _to_batch(row: Mapping[str, Any]) -> Batch:
    return Batch(
        id=row["id"],
        tenant_id=row["tenant_id"],
        kind=BatchKind(row["kind"]),
        level=VerificationLevel(row["level"]),
        total=row["total"],
        inputs=tuple(row["inputs"]),
        created_at=row["created_at"],
        cancelled_at=row["cancelled_at"],
        webhook_url=row["webhook_url"],
    )
