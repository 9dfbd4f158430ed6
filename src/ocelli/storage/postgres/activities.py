"""Sessions, batches and fetch jobs of a tenant in one list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.domain.activities import Activity, ActivityKind, FailedPicture
from ocelli.storage.postgres.paging import older, page_values
from ocelli.storage.postgres.rows import to_analysis

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any
    from uuid import UUID

    from ocelli.domain.analysis import Analysis
    from ocelli.domain.paging import PageRequest
    from ocelli.storage.postgres.rows import Connection

_COLUMNS = {
    ActivityKind.SESSION: "level, total, cancelled_at IS NOT NULL AS is_cancelled,"
    " status NOT IN ('pending', 'uploading', 'processing') AS is_over, upload_method AS label"
    " FROM sessions",
    ActivityKind.BATCH: "level, total, cancelled_at IS NOT NULL AS is_cancelled,"
    " NULL::boolean AS is_over, kind AS label FROM batches",
    ActivityKind.REQUEST: "NULL AS level, NULL::int AS total,"
    " cancelled_at IS NOT NULL AS is_cancelled, completed_at IS NOT NULL AS is_over,"
    " 'fetch' AS label FROM requests",
}
# Of the rows of a page only, as counting reads all items of each.
_COUNTED = """
SELECT w.kind, w.id, w.created_at, w.level, w.label, w.is_cancelled,
    coalesce(w.total, n.completed + n.failed + n.skipped + n.unfinished) AS total,
    n.completed, n.failed, n.skipped, n.processing,
    coalesce(w.is_over, n.unfinished = 0) AS is_over
FROM (%s) w, LATERAL (
    SELECT count(*) FILTER (WHERE state = 'completed') AS completed,
        count(*) FILTER (WHERE state = 'failed') AS failed,
        count(*) FILTER (WHERE state = 'skipped') AS skipped,
        count(*) FILTER (WHERE state = 'processing') AS processing,
        count(*) FILTER (WHERE state NOT IN ('completed', 'failed', 'skipped')) AS unfinished
    FROM (
        SELECT CASE WHEN i.state = 'queued' AND a.id IS NOT NULL THEN 'processing'
            ELSE i.state END AS state
        FROM items i LEFT JOIN analyses a ON a.image_id = i.id AND a.status = 'processing'
            AND a.request_id IS NULL
        WHERE w.kind = 'sessions' AND i.session_id = w.id
        UNION ALL
        SELECT a.status FROM analyses a WHERE w.kind <> 'sessions' AND a.request_id = w.id
    ) states
) n ORDER BY w.created_at DESC, w.id
"""
_FAILED_ITEMS = (
    "SELECT i.filename AS name, i.error AS reason, i.retryable, p.id AS image_id, count(*) OVER ()"
    " AS total FROM items i LEFT JOIN images p ON p.id = i.id AND p.deleted_at IS NULL"
    " WHERE i.session_id = %(id)s AND i.state = 'failed' ORDER BY i.position LIMIT %(limit)s"
)
_FAILED_ANALYSES = (
    "SELECT coalesce(p.title, p.filename, a.name, 'Picture ' || a.position + 1) AS name,"
    " a.failure->>'message' AS reason, (a.failure->>'retryable')::boolean AS retryable,"
    " p.id AS image_id, count(*) OVER () AS total FROM analyses a"
    " LEFT JOIN images p ON p.id = a.image_id AND p.deleted_at IS NULL"
    " WHERE a.request_id = %(id)s AND a.status = 'failed' ORDER BY a.position LIMIT %(limit)s"
)
# Failed, of the library, and not described or asked again since.
_TO_REPEAT = """
SELECT a.* FROM analyses a JOIN images p ON p.id = a.image_id AND p.deleted_at IS NULL
WHERE a.status = 'failed' AND {which} AND NOT EXISTS (SELECT FROM analyses b
    WHERE b.image_id = a.image_id AND b.created_at > a.created_at)
ORDER BY a.position, a.id LIMIT %(limit)s
"""
_OF_SESSION = (
    "a.request_id IS NULL AND a.image_id IN"
    " (SELECT id FROM items WHERE session_id = %(id)s AND state = 'failed')"
)


class PostgresActivities:
    """Reads of ``sessions``, ``batches`` and ``requests``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def page(self, tenant_id: UUID, page: PageRequest) -> Sequence[Activity]:
        """Return a page, newest first; the key of a row is (created_at, id)."""
        parts = " UNION ALL ".join(
            f"(SELECT '{kind}' AS kind, id, created_at, {columns}"
            f" WHERE tenant_id = %(tenant)s AND {older(page)}"
            f" ORDER BY created_at DESC, id LIMIT %(limit)s)"
            for kind, columns in _COLUMNS.items()
        )
        newest = f"SELECT * FROM ({parts}) all_kinds ORDER BY created_at DESC, id LIMIT %(limit)s"
        return await self._counted(newest, {"tenant": tenant_id, **page_values(page)})

    async def get(self, tenant_id: UUID, kind: ActivityKind, id: UUID) -> Activity | None:
        """Return one; None if the tenant has none of that kind and id."""
        one = (
            f"SELECT '{kind}' AS kind, id, created_at, {_COLUMNS[kind]}"
            " WHERE tenant_id = %(tenant)s AND id = %(id)s"
        )
        found = await self._counted(one, {"tenant": tenant_id, "id": id})
        return found[0] if found else None

    async def failures(
        self, activity: Activity, *, limit: int
    ) -> tuple[Sequence[FailedPicture], int]:
        """Return the first pictures that have failed, and how many there are."""
        is_session = activity.kind is ActivityKind.SESSION
        rows = await self._rows(
            _FAILED_ITEMS if is_session else _FAILED_ANALYSES, {"id": activity.id, "limit": limit}
        )
        failed = [
            FailedPicture(
                row["name"],
                row["reason"] or "It could not be described.",
                bool(row["retryable"]),
                row["image_id"],
            )
            for row in rows
        ]
        return failed, rows[0]["total"] if rows else 0

    async def to_repeat(self, activity: Activity, *, limit: int) -> Sequence[Analysis]:
        """Return the failed analyses of pictures that are here and were not asked about since."""
        is_session = activity.kind is ActivityKind.SESSION
        which = _OF_SESSION if is_session else "a.request_id = %(id)s"
        rows = await self._rows(_TO_REPEAT.format(which=which), {"id": activity.id, "limit": limit})
        return [to_analysis(row) for row in rows]

    async def _counted(self, query: str, values: Mapping[str, Any]) -> Sequence[Activity]:
        rows = await self._rows(_COUNTED.replace("%s", query), values)
        return [Activity(**{**row, "kind": ActivityKind(row["kind"])}) for row in rows]

    async def _rows(self, query: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        cursor = await self._connection.execute(query.encode(), values)
        return await cursor.fetchall()
