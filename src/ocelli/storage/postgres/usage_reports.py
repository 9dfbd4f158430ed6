"""Reads what a tenant used, over the meters, the pictures and the conversations."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from ocelli.domain.claims import Tokens
from ocelli.domain.usage_reports import Activity, TokenPage, TokensOf

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from uuid import UUID

    from ocelli.storage.postgres.rows import Connection, Row

_OF_CALLS = (
    "coalesce(sum((c->'tokens'->>'prompt')::bigint), 0)::bigint AS prompt,"
    " coalesce(sum((c->'tokens'->>'completion')::bigint), 0)::bigint AS completion"
)
_FILE_TOKENS = (
    "SELECT i.id, i.filename AS name, i.created_at, t.prompt, t.completion"
    " FROM (SELECT i.id, i.filename, i.created_at FROM images i JOIN library l ON l.image_id = i.id"
    " WHERE i.tenant_id = %(tenant)s AND i.deleted_at IS NULL AND l.described"
    " ORDER BY i.created_at DESC, i.id LIMIT %(limit)s OFFSET %(offset)s) i,"
    f" LATERAL (SELECT {_OF_CALLS} FROM analyses a, jsonb_array_elements(a.calls) c"
    " WHERE a.image_id = i.id) t ORDER BY i.created_at DESC, i.id"
)
_FILE_TOTALS = (
    f"SELECT {_OF_CALLS}, (SELECT count(*) FROM library l WHERE l.tenant_id = %(tenant)s"
    " AND l.described) AS total FROM library l JOIN analyses a ON a.image_id = l.image_id,"
    " jsonb_array_elements(a.calls) c WHERE l.tenant_id = %(tenant)s AND l.described"
)
_CHAT_TOKENS = (
    "SELECT s.id, s.title AS name, s.created_at, s.input_tokens AS prompt,"
    " s.output_tokens AS completion,"
    " (SELECT count(*) FROM chat_messages m WHERE m.session_id = s.id) AS messages"
    " FROM chat_sessions s WHERE s.tenant_id = %(tenant)s"
    " ORDER BY coalesce(s.last_message_at, s.created_at) DESC, s.id"
    " LIMIT %(limit)s OFFSET %(offset)s"
)
_CHAT_TOTALS = (
    "SELECT count(*) AS total, coalesce(sum(input_tokens), 0)::bigint AS prompt,"
    " coalesce(sum(output_tokens), 0)::bigint AS completion"
    " FROM chat_sessions WHERE tenant_id = %(tenant)s"
)
_UPLOADS = (
    "SELECT (created_at AT TIME ZONE 'UTC')::date AS day, count(*) AS count FROM images"
    " WHERE tenant_id = %(tenant)s AND created_at >= %(since)s AND created_at < %(before)s"
    " GROUP BY 1"
)
_MESSAGES = (
    "SELECT (m.created_at AT TIME ZONE 'UTC')::date AS day, count(*) FILTER (WHERE m.role = 'user')"
    " AS count, coalesce(sum(m.token_count), 0)::bigint AS tokens FROM chat_sessions s"
    " JOIN chat_messages m ON m.session_id = s.id WHERE s.tenant_id = %(tenant)s"
    " AND coalesce(s.last_message_at, s.created_at) >= %(since)s"
    " AND m.created_at >= %(since)s AND m.created_at < %(before)s GROUP BY 1"
)
_SESSIONS = (
    "SELECT count(*) AS count FROM chat_sessions WHERE tenant_id = %(tenant)s"
    " AND created_at >= %(since)s AND created_at < %(before)s"
)


class PostgresUsageReports:
    """What tenants used."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def tokens(self, tenant_id: UUID, start: date, before: date) -> Tokens:
        """Return the tokens of the looks from ``start`` until the day ``before``."""
        (row,) = await self._rows(
            "SELECT coalesce(sum(prompt_tokens), 0)::bigint AS prompt,"
            " coalesce(sum(completion_tokens), 0)::bigint AS completion FROM usage_calls"
            " WHERE tenant_id = %s AND day >= %s AND day < %s",
            (tenant_id, start, before),
        )
        return Tokens(row["prompt"], row["completion"])

    async def descriptions(self, tenant_id: UUID, start: date, before: date) -> int:
        """Return what the meters of whole months counted."""
        (row,) = await self._rows(
            "SELECT coalesce(sum(descriptions), 0)::bigint AS count FROM usage_months"
            " WHERE tenant_id = %s AND month >= %s AND month < %s",
            (tenant_id, start, before),
        )
        return int(row["count"])

    async def delivered(
        self, tenant_id: UUID, start: date, end: date, key_id: UUID | None, *, by_month: bool
    ) -> dict[date, int]:
        """Return how many results were delivered or failed, by day or month that has any."""
        step = "date_trunc('month', day)::date" if by_month else "day"
        rows = await self._rows(
            f"SELECT {step} AS step, sum(succeeded + failed)::bigint AS count FROM usage_days"
            " WHERE tenant_id = %s AND day BETWEEN %s AND %s AND (%s::uuid IS NULL OR key_id = %s)"
            " GROUP BY 1",
            (tenant_id, start, end, key_id, key_id),
        )
        return {row["step"]: row["count"] for row in rows}

    async def files(self, tenant_id: UUID, limit: int, offset: int) -> TokenPage:
        """Return the tokens of all looks at each described picture that is there."""
        return await self._page(_FILE_TOKENS, _FILE_TOTALS, tenant_id, limit, offset)

    async def conversations(self, tenant_id: UUID, limit: int, offset: int) -> TokenPage:
        """Return the tokens of each conversation, the one with the newest message first."""
        return await self._page(_CHAT_TOKENS, _CHAT_TOTALS, tenant_id, limit, offset)

    async def activity(self, tenant_id: UUID, start: date, end: date) -> Activity:
        """Return what happened from ``start`` to ``end``, both included."""
        values = {
            "tenant": tenant_id,
            "since": datetime.combine(start, time(), UTC),
            "before": datetime.combine(end + timedelta(days=1), time(), UTC),
        }
        messages = await self._rows(_MESSAGES, values)
        (sessions,) = await self._rows(_SESSIONS, values)
        (used,) = await self._rows(
            "SELECT coalesce(sum(succeeded), 0)::bigint AS succeeded,"
            " coalesce(sum(failed), 0)::bigint AS failed,"
            " coalesce(sum(milliseconds), 0) AS milliseconds FROM usage_days"
            " WHERE tenant_id = %s AND day BETWEEN %s AND %s",
            (tenant_id, start, end),
        )
        return Activity(
            start,
            end,
            {row["day"]: row["count"] for row in await self._rows(_UPLOADS, values)},
            {row["day"]: row["count"] for row in messages},
            sessions["count"],
            used["succeeded"],
            used["failed"],
            used["milliseconds"],
            await self.tokens(tenant_id, start, end + timedelta(days=1)),
            sum(row["tokens"] for row in messages),
        )

    async def _page(
        self, page: str, totals: str, tenant_id: UUID, limit: int, offset: int
    ) -> TokenPage:
        values = {"tenant": tenant_id, "limit": limit, "offset": offset}
        (sums,) = await self._rows(totals, values)
        rows = [
            TokensOf(
                row["id"],
                row["name"],
                Tokens(row["prompt"], row["completion"]),
                row["created_at"],
                row.get("messages", 0),
            )
            for row in await self._rows(page, values)
        ]
        return TokenPage(rows, sums["total"], Tokens(sums["prompt"], sums["completion"]))

    async def _rows(self, sql: str, values: Any) -> Sequence[Row]:
        cursor = await self._connection.execute(sql.encode(), values)
        return await cursor.fetchall()
