"""Enqueueing, in the transaction of the rows that a job is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg.types.json import Jsonb

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.domain.analysis import Analysis
    from ocelli.domain.images import Image
    from ocelli.storage.postgres.rows import Connection

ANALYSE = "analyse"
MAKE_VARIANTS = "make_variants"
EXTRACT_COLORS = "extract_colors"
EXPORT = "export"
CALL_WEBHOOK = "call_webhook"

# A description is what people wait for; variants come when nobody waits.
_URGENT = 1_000
_VARIANTS_PRIORITY = -10_000
_LATER = -5_000
_MOST_BACKLOG = 1_000

# The queue's own function behind ``defer``, which takes many jobs but only in Python one by one.
_ENQUEUE = """
SELECT procrastinate_defer_jobs_v1(array_agg(
    ROW('ocelli', task, priority, lock, NULL, args, NULL)::procrastinate_job_to_defer_v1))
FROM jsonb_to_recordset(%s) AS job (task text, priority integer, lock text, args jsonb)
"""


class PostgresJobs:
    """See ports.Jobs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def analyse(
        self, *analyses: Analysis, urgent: bool = False, places: Sequence[int] = ()
    ) -> None:
        """Behind the tenant's own backlog, so that nobody waits for somebody else's.

        ``urgent``: somebody holds a connection open for it, so before everything else. ``places``:
        the caller knows better which of the tenant's pictures comes when.
        """
        if not analyses:
            return
        if urgent:
            priorities = [_URGENT] * len(analyses)
        else:
            first = 0 if places else await self._backlog(analyses[0].tenant_id)
            priorities = [
                -min(place, _MOST_BACKLOG)
                for place in places or range(first, first + len(analyses))
            ]
        await self._enqueue(
            *(
                (ANALYSE, priority, "analysis_id", analysis.id)
                for analysis, priority in zip(analyses, priorities, strict=True)
            )
        )

    async def make_variants(self, *images: Image) -> None:
        """At the lowest priority."""
        await self._enqueue(
            *((MAKE_VARIANTS, _VARIANTS_PRIORITY, "image_id", image.id) for image in images)
        )

    async def extract_colors(self, image_id: UUID) -> None:
        """After descriptions, before variants."""
        await self._enqueue((EXTRACT_COLORS, _LATER, "image_id", image_id))

    async def export(self, export_id: UUID) -> None:
        """After descriptions, before variants."""
        await self._enqueue((EXPORT, _LATER, "export_id", export_id))

    async def call_webhook(self, batch_id: UUID) -> None:
        """Before descriptions: it is short, and somebody waits for it."""
        await self._enqueue((CALL_WEBHOOK, _URGENT, "batch_id", batch_id))

    async def _enqueue(self, *jobs: tuple[str, int, str, UUID]) -> None:
        """Task, priority, and the name and value of its argument. Never two of one lock at once."""
        if jobs:
            rows = [
                {
                    "task": task,
                    "priority": priority,
                    "lock": f"{task}:{id}",
                    "args": {argument: str(id)},
                }
                for task, priority, argument, id in jobs
            ]
            await self._connection.execute(_ENQUEUE, (Jsonb(rows),))

    async def _backlog(self, tenant_id: UUID) -> int:
        """Unfinished analyses of the tenant, counted up to a bound: more changes nothing."""
        cursor = await self._connection.execute(
            "SELECT count(*) AS waiting FROM (SELECT 1 FROM analyses WHERE tenant_id = %s"
            " AND status IN ('queued', 'processing') LIMIT %s) AS first_ones",
            (tenant_id, _MOST_BACKLOG),
        )
        row = await cursor.fetchone()
        return row["waiting"] if row else 0
