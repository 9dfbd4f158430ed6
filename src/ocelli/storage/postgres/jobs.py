"""Enqueueing, in the transaction of the rows that a job is about."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ocelli.domain.correlation import Origin
from ocelli.domain.jobs import ANALYSE, EXPORT, EXTRACT_COLORS, MAKE_VARIANTS
from ocelli.storage.postgres.rows import ALWAYS, recordset

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ocelli.domain.analysis import Analysis
    from ocelli.domain.images import Image
    from ocelli.storage.postgres.rows import Connection

Origins = Mapping[UUID, Origin]
NOTHING: Origins = MappingProxyType({})


# Clients wait for descriptions; variants are made when no description is queued.
_URGENT = 1_000
_VARIANTS_PRIORITY = -10_000
_LATER = -5_000
_MOST_BACKLOG = 1_000

# The queue's own function behind ``defer``, which takes many jobs but only in Python one by one.
# Those that go ``behind`` the tenant's unfinished analyses count them, up to a bound.
ENQUEUE = f"""
SELECT procrastinate_defer_jobs_v1(array_agg(ROW('ocelli', task, CASE WHEN behind THEN
    greatest(priority - (SELECT count(*)::integer FROM (SELECT FROM analyses
        WHERE tenant_id = %(tenant_id)s AND status IN ('queued', 'processing')
        LIMIT {_MOST_BACKLOG}) AS unfinished), -{_MOST_BACKLOG}) ELSE priority END,
    lock, NULL, args, NULL)::procrastinate_job_to_defer_v1))
FROM granted, jsonb_to_recordset(%(jobs)s)
    AS job (task text, priority integer, behind boolean, lock text, args jsonb)
HAVING count(*) > 0
"""


def variants_jobs(images: Iterable[Image], origins: Origins = NOTHING) -> list[dict[str, Any]]:
    """At the lowest priority. ``origins`` are those of some pictures, where they differ."""
    return [
        _job(MAKE_VARIANTS, _VARIANTS_PRIORITY, "image_id", image.id, of=origins.get(image.id))
        for image in images
    ]


def analyse_jobs(analyses: Iterable[Analysis], origins: Origins = NOTHING) -> list[dict[str, Any]]:
    """Return analyse jobs of one tenant, behind its own backlog only."""
    return [
        _job(
            ANALYSE,
            -number,
            "analysis_id",
            analysis.id,
            behind=True,
            of=origins.get(analysis.image_id) if analysis.image_id else None,
        )
        for number, analysis in enumerate(analyses)
    ]


def _job(
    task: str,
    priority: int,
    argument: str,
    id: UUID,
    *,
    behind: bool = False,
    of: Origin | None = None,
) -> dict[str, Any]:
    """Never two of one lock at once. ``of`` is the request, if not the present one."""
    origin = of or Origin.current()
    return {
        "task": task,
        "priority": priority,
        "behind": behind,
        "lock": f"{task}:{id}",
        "args": {argument: id} | origin.arguments(),
    }


class PostgresJobs:
    """The queue, inside the same transaction as the rows that a job is about."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def analyse(
        self, *analyses: Analysis, urgent: bool = False, positions: Sequence[int] = ()
    ) -> None:
        """Enqueue analyses behind the tenant's own backlog, so no tenant waits for another's.

        ``urgent``: a client holds a connection open for it, so before everything else.
        ``positions``: the caller knows better which of the tenant's pictures comes when.
        """
        if not urgent and not positions:
            jobs = analyse_jobs(analyses)
        else:
            priorities = [-min(position, _MOST_BACKLOG) for position in positions]
            if urgent:
                priorities = [_URGENT] * len(analyses)
            jobs = [
                _job(ANALYSE, priority, "analysis_id", analysis.id)
                for analysis, priority in zip(analyses, priorities, strict=True)
            ]
        if analyses:
            await self._enqueue(*jobs, tenant_id=analyses[0].tenant_id)

    async def make_variants(self, image: Image) -> None:
        """Enqueue the making of variants, at the lowest priority."""
        await self._enqueue(*variants_jobs([image]))

    async def extract_colors(self, image_id: UUID) -> None:
        """Enqueue a colour extraction, after descriptions and before variants."""
        await self._enqueue(_job(EXTRACT_COLORS, _LATER, "image_id", image_id))

    async def export(self, export_id: UUID) -> None:
        """Enqueue an export, after descriptions and before variants."""
        await self._enqueue(_job(EXPORT, _LATER, "export_id", export_id))

    async def _enqueue(self, *jobs: dict[str, Any], tenant_id: UUID | None = None) -> None:
        values = {"jobs": recordset(jobs), "tenant_id": tenant_id}
        await self._connection.execute(ALWAYS + ENQUEUE, values)
