"""Enqueueing, in the transaction of the rows that a job is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import procrastinate

if TYPE_CHECKING:
    from uuid import UUID

    from ocelli.domain.analysis import Analysis
    from ocelli.domain.images import Image
    from ocelli.storage.postgres.rows import Connection

ANALYSE = "analyse"
MAKE_VARIANTS = "make_variants"
EXTRACT_COLORS = "extract_colors"
EXPORT = "export"

# A description is what people wait for; variants come when nobody waits.
_URGENT = 1_000
_VARIANTS_PRIORITY = -10_000
_LATER = -5_000
_MOST_BACKLOG = 1_000

_unconnected = procrastinate.App(connector=procrastinate.PsycopgConnector())


class PostgresJobs:
    """See ports.Jobs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def analyse(self, analysis: Analysis, *, urgent: bool = False) -> None:
        """Behind the tenant's own backlog, so that nobody waits for somebody else's.

        ``urgent``: somebody holds a connection open for it, so before everything else.
        """
        priority = _URGENT if urgent else -await self._backlog(analysis.tenant_id)
        await self._enqueue(ANALYSE, priority, "analysis_id", analysis.id)

    async def make_variants(self, image: Image) -> None:
        """At the lowest priority."""
        await self._enqueue(MAKE_VARIANTS, _VARIANTS_PRIORITY, "image_id", image.id)

    async def extract_colors(self, image_id: UUID) -> None:
        """After descriptions, before variants."""
        await self._enqueue(EXTRACT_COLORS, _LATER, "image_id", image_id)

    async def export(self, export_id: UUID) -> None:
        """After descriptions, before variants."""
        await self._enqueue(EXPORT, _LATER, "export_id", export_id)

    async def _enqueue(self, task: str, priority: int, argument: str, id: UUID) -> None:
        await _unconnected.configure_task(
            task,
            allow_unknown=True,
            connection=self._connection,
            priority=priority,
            lock=f"{task}:{id}",  # never twice at the same time
            queue="ocelli",
        ).defer_async(**{argument: str(id)})

    async def _backlog(self, tenant_id: UUID) -> int:
        """Unfinished analyses of the tenant, counted up to a bound: more changes nothing."""
        cursor = await self._connection.execute(
            "SELECT count(*) AS waiting FROM (SELECT 1 FROM analyses WHERE tenant_id = %s"
            " AND status IN ('queued', 'processing') LIMIT %s) AS first_ones",
            (tenant_id, _MOST_BACKLOG),
        )
        row = await cursor.fetchone()
        return row["waiting"] if row else 0
