"""The history of analyses, and the table ``exports``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from ocelli.domain.effective import effective_words
from ocelli.domain.history import (
    Export,
    ExportOptions,
    ExportStatus,
    HistoryRecord,
    HistoryStatistics,
    SourceType,
)
from ocelli.domain.webhooks import export_ended
from ocelli.storage.postgres.annotations import edits_of, to_annotations
from ocelli.storage.postgres.paging import PAGE, older, page_values
from ocelli.storage.postgres.rows import to_words
from ocelli.storage.postgres.webhooks import PostgresWebhooks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from uuid import UUID

    from ocelli.domain.history import HistoryQuery
    from ocelli.domain.paging import PageRequest
    from ocelli.domain.webhooks import Event
    from ocelli.storage.postgres.rows import Connection, Row

_request = TypeAdapter(ExportOptions)

AT_ONCE = 500
_FIFTHS = 5
_PLAIN = (
    "id", "image_id", "session_id", "created_at", "filename", "confidence", "level", "backends",
    "content_type", "size_bytes", "width", "height", "error",
)  # fmt: skip
_FROM = " FROM analyses a JOIN images i ON i.id = a.image_id"
_SOURCE = "CASE WHEN i.session_id IS NULL THEN 'single' ELSE 'batch' END"
_RECORDS = (
    "SELECT a.id, a.image_id, i.session_id, a.created_at, i.filename, i.title, i.tags,"
    " a.id AS ai_id, a.description AS ai_description, a.visible_text AS ai_visible_text,"
    " a.tags AS ai_tags, CASE WHEN i.revision > 0 THEN a.claims END AS ai_claims,"
    " CASE WHEN i.revision > 0 THEN a.tagging END AS ai_tagging,"
    f" {edits_of('i')} AS edits, a.confidence, a.level,"
    " (SELECT coalesce(string_agg(found->>'source', ', '), '')"
    " FROM jsonb_array_elements(a.findings) AS found) AS backends, i.content_type, i.size_bytes,"
    " i.width, i.height, a.failure->>'message' AS error"
)
# What is searched, as domain/effective.py has it: a person's description, else an approved one,
# else the machine's unless it is rejected, and what claims were corrected to. The sentences that
# people refuted are still in it: only Python knows which they are.
_REJECTED = (
    "coalesce(bool_or(field = 'review' AND value->>'status' = 'rejected'"
    " AND value->>'analysis_id' = a.id::text), false)"
)
_WORDS = (
    "CASE WHEN i.revision = 0 THEN concat_ws(' ', a.description, a.visible_text) ELSE ("
    "SELECT concat_ws(' ', max(value #>> '{}') FILTER (WHERE field = 'alt_text'),"
    " coalesce(nullif(max(value #>> '{}') FILTER (WHERE field = 'description'), ''),"
    " concat_ws(' ', coalesce(max(value->>'description')"
    " FILTER (WHERE field = 'review' AND value->>'status' = 'approved'),"
    f" CASE WHEN NOT {_REJECTED} THEN a.description END),"
    " string_agg(value->>'text', ' ') FILTER (WHERE field = 'claim'))),"
    f" CASE WHEN NOT {_REJECTED} THEN a.visible_text END)"
    " FROM (SELECT DISTINCT ON (field, claim) field, value FROM edits"
    " WHERE edits.image_id = i.id AND field IN ('description', 'alt_text', 'review', 'claim')"
    " ORDER BY field, claim, edits.revision DESC) e) END"
)
_ORDER = " ORDER BY a.created_at DESC, a.id"


class PostgresHistory:
    """Reads ended analyses of pictures that are not deleted, newest first."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def page(
        self, tenant_id: UUID, query: HistoryQuery, page: PageRequest
    ) -> Sequence[HistoryRecord]:
        """Return a page of records."""
        where, values = _where(tenant_id, query)
        cursor = await self._connection.execute(
            f"{_RECORDS}{_FROM}{where} AND {older(page, 'a.')}{_ORDER} {PAGE}".encode(),
            {**values, **page_values(page)},
        )
        return [_to_record(row) for row in await cursor.fetchall()]

    async def statistics(self, tenant_id: UUID, query: HistoryQuery) -> HistoryStatistics:
        """Return the statistics of all matching records, in one query."""
        where, values = _where(tenant_id, query)
        cursor = await self._connection.execute(
            (
                "SELECT fifth, day, source, count(*) AS records, avg(confidence) AS average,"
                " grouping(fifth, day, source) AS kind FROM (SELECT a.confidence,"
                f" (floor(a.confidence * {_FIFTHS}) - (a.confidence >= 1)::int)::int AS fifth,"
                f" (a.created_at AT TIME ZONE 'UTC')::date AS day, {_SOURCE} AS source"
                f"{_FROM}{where}) AS matching"
                " GROUP BY GROUPING SETS ((), (fifth), (day), (source)) ORDER BY day"
            ).encode(),
            values,
        )
        return _to_statistics(await cursor.fetchall())

    async def stream(
        self, tenant_id: UUID, query: HistoryQuery, *, limit: int
    ) -> AsyncIterator[Sequence[HistoryRecord]]:
        """Yield batches of records from a cursor of the database."""
        where, values = _where(tenant_id, query)
        async with self._connection.cursor("history") as cursor:
            await cursor.execute(
                f"{_RECORDS}{_FROM}{where}{_ORDER} LIMIT %(limit)s".encode(),
                {**values, "limit": limit},
            )
            while rows := await cursor.fetchmany(AT_ONCE):
                yield [_to_record(row) for row in rows]


class PostgresExports:
    """The repository of exports."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, id: UUID, tenant_id: UUID, request: ExportOptions) -> Export:
        """Insert a queued export; its job must follow in the same transaction."""
        rows = await self._rows(
            "INSERT INTO exports (id, tenant_id, request, status, created_at)"
            " VALUES (%s, %s, %s::jsonb, 'queued', clock_timestamp()) RETURNING *",
            (id, tenant_id, _request.dump_json(request).decode()),
        )
        return _to_export(rows[0])

    async def get(self, tenant_id: UUID, id: UUID) -> Export | None:
        """Return an export; None if the tenant has none of that id."""
        rows = await self._rows(
            "SELECT * FROM exports WHERE tenant_id = %s AND id = %s", (tenant_id, id)
        )
        return _to_export(rows[0]) if rows else None

    async def start(self, id: UUID) -> Export | None:
        """Mark an export as processing; None if it is unknown or has ended."""
        rows = await self._rows(
            "UPDATE exports SET status = 'processing' WHERE id = %s"
            " AND status IN ('queued', 'processing') RETURNING *",
            (id,),
        )
        return _to_export(rows[0]) if rows else None

    async def complete(self, id: UUID, object_key: str, record_count: int) -> bool:
        """Mark an export as completed; its object must be in the store already.

        False if there is no such export any more.
        """
        rows = await self._rows(
            "UPDATE exports SET status = 'completed', object_key = %s, record_count = %s,"
            " completed_at = clock_timestamp() WHERE id = %s AND status = 'processing'"
            " RETURNING tenant_id",
            (object_key, record_count, id),
        )
        await self._announce(rows, export_ended(id, records=record_count))
        return bool(rows) or bool(await self._rows("SELECT FROM exports WHERE id = %s", (id,)))

    async def fail(self, id: UUID, error: str) -> None:
        """Mark an export as failed."""
        rows = await self._rows(
            "UPDATE exports SET status = 'failed', error = %s, completed_at = clock_timestamp()"
            " WHERE id = %s AND status IN ('queued', 'processing') RETURNING tenant_id",
            (error, id),
        )
        await self._announce(rows, export_ended(id, records=None, failure=error))

    async def _announce(self, ended: Sequence[Row], event: Event) -> None:
        for row in ended:
            await PostgresWebhooks(self._connection).emit(row["tenant_id"], event)

    async def purge(self, *, older_than: float) -> int:
        """Delete exports older than ``older_than`` seconds; their objects become orphans."""
        cursor = await self._connection.execute(
            "DELETE FROM exports WHERE created_at < now() - make_interval(secs => %s)",
            (older_than,),
        )
        return cursor.rowcount

    async def _rows(self, query: str, parameters: tuple[object, ...]) -> list[Row]:
        cursor = await self._connection.execute(query.encode(), parameters)
        return await cursor.fetchall()


def _where(tenant_id: UUID, query: HistoryQuery) -> tuple[str, dict[str, Any]]:
    """Return the WHERE clause, and its parameters."""
    ended = "IN ('completed', 'failed')" if query.include_failed else "= 'completed'"
    conditions = [
        "a.tenant_id = %(tenant)s",
        f"a.status {ended}",
        "a.image_id IS NOT NULL",
        "i.deleted_at IS NULL",
    ]
    values: dict[str, Any] = {"tenant": tenant_id}
    text = f"concat_ws(' ', i.title, {_WORDS})"
    for condition, name, value in (
        ("a.created_at >= %(since)s", "since", query.since),
        ("a.created_at < %(before)s", "before", query.before),
        ("a.confidence >= %(least)s", "least", query.min_confidence),
        ("a.confidence <= %(most)s", "most", query.max_confidence),
        (f"{text} ILIKE ALL(%(terms)s)", "terms", [_pattern(term) for term in query.terms] or None),
        (f"{_SOURCE} = ANY(%(sources)s)", "sources", _sources(query)),
    ):
        if value is not None:
            conditions.append(condition)
            values[name] = value
    return " WHERE " + " AND ".join(conditions), values


def _sources(query: HistoryQuery) -> list[str] | None:
    return None if query.sources == frozenset(SourceType) else sorted(query.sources)


def _pattern(term: str) -> str:
    escaped = term.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _to_record(row: Mapping[str, Any]) -> HistoryRecord:
    machine = to_words(row)
    annotations = to_annotations(row["edits"])
    plain = {name: row[name] for name in _PLAIN}
    shown = effective_words(row["title"], tuple(row["tags"]), annotations, machine)
    return HistoryRecord(**plain, shown=shown, machine=machine)


def _to_statistics(rows: Sequence[Row]) -> HistoryStatistics:
    """Build the statistics; ``kind`` is a bit mask of the columns a row is not grouped by."""
    everything = next(row for row in rows if row["kind"] == 0b111)
    fifths = {row["fifth"]: row["records"] for row in rows if row["kind"] == 0b011}
    average = everything["average"]
    return HistoryStatistics(
        total=everything["records"],
        average_confidence=None if average is None else float(average),
        confidences=(*(fifths.get(fifth, 0) for fifth in range(_FIFTHS)),),
        days=[(row["day"], row["records"]) for row in rows if row["kind"] == 0b101],
        sources={SourceType(row["source"]): row["records"] for row in rows if row["kind"] == 0b110},
    )


def _to_export(row: Mapping[str, Any]) -> Export:
    return Export(
        id=row["id"],
        tenant_id=row["tenant_id"],
        request=_request.validate_python(row["request"]),
        status=ExportStatus(row["status"]),
        created_at=row["created_at"],
        object_key=row["object_key"],
        record_count=row["record_count"],
        error=row["error"],
        completed_at=row["completed_at"],
    )
