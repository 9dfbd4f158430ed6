"""The meters: ``usage_months``, ``usage_days``, and the stored bytes of a tenant."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg

from ocelli.domain.analysis import VerificationLevel
from ocelli.domain.claims import Tokens
from ocelli.domain.installation import BackendRecord
from ocelli.domain.usage import (
    MOST_KEYS,
    BackendUse,
    Charge,
    DayOfUse,
    Delivered,
    Limit,
    MonthlyUse,
    Spend,
    UsageHistory,
    UseOfKey,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from ocelli.storage.postgres.rows import Connection, Row


_CHARGE = tuple(each.name for each in fields(Charge))

# What begins a statement: there is a row in ``granted`` if the charge stays within the limits, and
# then it is counted. Each row is locked by the change itself, the tenant's last: to lock first and
# change then is a deadlock, once others wait for the same row.
GRANTED = """
month AS (
    INSERT INTO usage_months AS u (tenant_id, month, uploads, descriptions, credits)
    SELECT %(tenant_id)s, %(month)s, %(uploads)s, %(descriptions)s, %(credits)s
    WHERE (%(max_uploads)s::bigint IS NULL OR %(uploads)s <= %(max_uploads)s)
    AND (%(max_descriptions)s::bigint IS NULL OR %(descriptions)s <= %(max_descriptions)s)
    ON CONFLICT (tenant_id, month) DO UPDATE SET
    uploads = u.uploads + excluded.uploads,
    descriptions = u.descriptions + excluded.descriptions,
    credits = u.credits + excluded.credits
    WHERE (%(max_uploads)s::bigint IS NULL
    OR excluded.uploads = 0 OR u.uploads + excluded.uploads <= %(max_uploads)s)
    AND (%(max_descriptions)s::bigint IS NULL OR excluded.descriptions = 0
    OR u.descriptions + excluded.descriptions <= %(max_descriptions)s)
    RETURNING 1
), stored AS (
    UPDATE tenants SET storage_bytes = storage_bytes + %(size_bytes)s
    WHERE id = %(tenant_id)s AND %(size_bytes)s > 0 AND EXISTS (SELECT FROM month)
    AND (%(max_bytes)s::bigint IS NULL OR storage_bytes + %(size_bytes)s <= %(max_bytes)s)
    RETURNING 1
), granted AS (
    SELECT 1 AS there WHERE EXISTS (SELECT FROM month)
    AND (%(size_bytes)s = 0 OR EXISTS (SELECT FROM stored))
)
"""
# What ends it. If the month would have let it the month is counted by now: the storage's no is an
# error, which undoes that.
OUTCOME = """
EXISTS (SELECT FROM granted) AS is_granted,
CASE WHEN EXISTS (SELECT FROM month) AND NOT EXISTS (SELECT FROM granted) THEN no_room() END
"""
_NO_KEY = UUID(int=0)  # stands for none in keys of tables
_NO_ROOM = "OC001"  # of the function ``no_room``
_RESERVE = f"WITH {GRANTED} SELECT {OUTCOME}"


class PostgresUsage:
    """Meters, exact under concurrency. Each change is one statement that checks and counts."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def month(self, tenant_id: UUID) -> MonthlyUse:
        """Return this month's meters, and the bytes stored now."""
        cursor = await self._connection.execute(
            "SELECT u.uploads, u.descriptions, u.credits, t.storage_bytes FROM tenants t"
            " LEFT JOIN usage_months u ON u.tenant_id = t.id AND u.month = %s WHERE t.id = %s",
            (_this_month(), tenant_id),
        )
        row = await cursor.fetchone() or {}
        return MonthlyUse(
            month=_this_month(),
            uploads=row.get("uploads") or 0,
            descriptions=row.get("descriptions") or 0,
            credits=row.get("credits") or 0,
            storage_bytes=row.get("storage_bytes") or 0,
        )

    async def reserve(self, charge: Charge) -> Limit | None:
        """Count a charge; if that reaches a limit, count nothing and return the limit."""
        return await count(self._connection, _RESERVE, charge)

    async def give_back(self, tenant_id: UUID, *, descriptions: int, credits: int) -> None:
        """Reduce this month's meters, not below 0: they may have been charged last month."""
        await self._connection.execute(
            "UPDATE usage_months SET descriptions = greatest(0, descriptions - %s),"
            " credits = greatest(0, credits - %s) WHERE tenant_id = %s AND month = %s",
            (descriptions, credits, tenant_id, _this_month()),
        )

    async def free(self, tenant_id: UUID, size_bytes: int) -> None:
        """Reduce the stored bytes."""
        await self._connection.execute(
            "UPDATE tenants SET storage_bytes = greatest(0, storage_bytes - %s) WHERE id = %s",
            (size_bytes, tenant_id),
        )

    async def delivered(
        self,
        tenant_id: UUID,
        key_id: UUID | None,
        *,
        operation: str,
        level: VerificationLevel,
        succeeded: int,
        failed: int,
        credits: int,
        milliseconds: float,
    ) -> None:
        """Count results for today (UTC), of a request by a key."""
        await self._connection.execute(
            "INSERT INTO usage_days AS u (tenant_id, day, key_id, operation, level, succeeded,"
            " failed, credits, milliseconds) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (tenant_id, day, key_id, operation, level) DO UPDATE SET"
            " succeeded = u.succeeded + excluded.succeeded, failed = u.failed + excluded.failed,"
            " credits = u.credits + excluded.credits,"
            " milliseconds = u.milliseconds + excluded.milliseconds",
            (
                tenant_id,
                datetime.now(UTC).date(),
                key_id or _NO_KEY,
                operation,
                level,
                succeeded,
                failed,
                credits,
                milliseconds,
            ),
        )

    async def spent(self, tenant_id: UUID, key_id: UUID | None, spend: Mapping[str, Spend]) -> None:
        """Count model calls for today (UTC), by backend."""
        # Sorted, so that no two wait for each other's rows.
        for backend, each in sorted(spend.items()):
            await self._connection.execute(
                "INSERT INTO usage_calls AS u (tenant_id, day, key_id, backend, calls,"
                " prompt_tokens, completion_tokens, milliseconds, dollars, unpriced)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
                " ON CONFLICT (tenant_id, day, key_id, backend) DO UPDATE SET"
                " calls = u.calls + excluded.calls,"
                " prompt_tokens = u.prompt_tokens + excluded.prompt_tokens,"
                " completion_tokens = u.completion_tokens + excluded.completion_tokens,"
                " milliseconds = u.milliseconds + excluded.milliseconds,"
                " dollars = u.dollars + excluded.dollars,"
                " unpriced = u.unpriced + excluded.unpriced",
                (
                    tenant_id,
                    datetime.now(UTC).date(),
                    key_id or _NO_KEY,
                    backend,
                    each.calls,
                    each.tokens.prompt,
                    each.tokens.completion,
                    each.milliseconds,
                    each.dollars,
                    each.unpriced,
                ),
            )

    async def days(
        self, tenant_id: UUID, start: date, end: date, key_id: UUID | None = None
    ) -> Sequence[Delivered]:
        """Return the sums per operation and level from ``start`` to ``end``, both inclusive.

        With ``key_id`` those of this key alone.
        """
        cursor = await self._connection.execute(
            "SELECT operation, level, sum(succeeded)::bigint AS succeeded,"
            " sum(failed)::bigint AS failed, sum(credits)::bigint AS credits,"
            " sum(milliseconds) AS milliseconds FROM usage_days"
            " WHERE tenant_id = %s AND day BETWEEN %s AND %s AND (%s::uuid IS NULL OR key_id = %s)"
            " GROUP BY operation, level ORDER BY operation, level",
            (tenant_id, start, end, key_id, key_id),
        )
        return [
            Delivered(
                row["operation"],
                VerificationLevel(row["level"]),
                row["succeeded"],
                row["failed"],
                row["credits"],
                row["milliseconds"],
            )
            for row in await cursor.fetchall()
        ]

    async def history(self, tenant_id: UUID, start: date, end: date) -> UsageHistory:
        """Return what was used from ``start`` to ``end``, of days those with deliveries."""
        span = (tenant_id, start, end)
        days = await self._spent("day", span)
        keys = await self._spent("key_id", span)
        used = sorted(
            await self._delivered("key_id", span), key=lambda row: row["credits"], reverse=True
        )[:MOST_KEYS]
        names = await self._names([row["what"] for row in used])
        return UsageHistory(
            [
                DayOfUse(
                    row["what"],
                    row["succeeded"],
                    row["failed"],
                    row["credits"],
                    days.get(row["what"], Spend()),
                )
                for row in await self._delivered("day", span)
            ],
            await self._spent("backend", span),
            [
                UseOfKey(
                    None if row["what"] == _NO_KEY else row["what"],
                    names.get(row["what"]),
                    row["succeeded"],
                    row["failed"],
                    row["credits"],
                    keys.get(row["what"], Spend()),
                )
                for row in used
            ],
        )

    async def _names(self, ids: Sequence[UUID]) -> dict[UUID, str]:
        cursor = await self._connection.execute(
            "SELECT id, name FROM api_keys WHERE id = ANY(%s)", (list(ids),)
        )
        return {row["id"]: row["name"] for row in await cursor.fetchall()}

    async def _delivered(self, column: str, span: tuple[UUID, date, date]) -> Sequence[Row]:
        cursor = await self._connection.execute(
            f"SELECT {column} AS what, sum(succeeded)::bigint AS succeeded,"
            " sum(failed)::bigint AS failed, sum(credits)::bigint AS credits FROM usage_days"
            f" WHERE tenant_id = %s AND day BETWEEN %s AND %s GROUP BY 1 ORDER BY 1".encode(),
            span,
        )
        return await cursor.fetchall()

    async def _spent(self, column: str, span: tuple[UUID, date, date]) -> dict[Any, Spend]:
        cursor = await self._connection.execute(
            f"SELECT {column} AS what, sum(calls)::bigint AS calls,"
            " sum(prompt_tokens)::bigint AS prompt, sum(completion_tokens)::bigint AS completion,"
            " sum(milliseconds) AS milliseconds, sum(dollars) AS dollars,"
            " sum(unpriced)::bigint AS unpriced FROM usage_calls"
            f" WHERE tenant_id = %s AND day BETWEEN %s AND %s GROUP BY 1 ORDER BY 1".encode(),
            span,
        )
        return {
            row["what"]: Spend(
                row["calls"],
                Tokens(row["prompt"], row["completion"]),
                row["milliseconds"],
                row["dollars"],
                row["unpriced"],
            )
            for row in await cursor.fetchall()
        }

    async def records(self, start: datetime) -> Mapping[str, BackendRecord]:
        """Return the looks of each backend for all tenants since ``start``, and what failed."""
        cursor = await self._connection.execute(
            "SELECT source, sum(calls)::bigint AS calls, sum(prompt)::bigint AS prompt,"
            " sum(completion)::bigint AS completion, sum(ms) AS ms,"
            " sum(failures)::bigint AS failures"
            " FROM (SELECT c->>'source' AS source, 1 AS calls,"
            " (c->'tokens'->>'prompt')::bigint AS prompt,"
            " (c->'tokens'->>'completion')::bigint AS completion,"
            " (c->>'milliseconds')::float AS ms, 0 AS failures"
            " FROM analyses a, jsonb_array_elements(a.calls) c WHERE a.completed_at >= %(start)s"
            " UNION ALL SELECT e->>'source', 0, 0, 0, 0, 1"
            " FROM analyses a, jsonb_array_elements(a.errors) e WHERE a.completed_at >= %(start)s"
            ") each_one GROUP BY source",
            {"start": start},
        )
        return {
            row["source"]: BackendRecord(
                BackendUse(
                    row["source"],
                    row["calls"],
                    Tokens(row["prompt"] or 0, row["completion"] or 0),
                    row["ms"] or 0.0,
                ),
                row["failures"],
            )
            for row in await cursor.fetchall()
        }


async def count(
    connection: Connection, statement: str, charge: Charge, **more: object
) -> Limit | None:
    """Run a statement of ``GRANTED`` ... ``OUTCOME``; return the limit reached, if any."""
    values = {name: getattr(charge, name) for name in _CHARGE}
    try:
        cursor = await connection.execute(
            statement.encode(), {**values, "month": _this_month(), **more}
        )
    except psycopg.DatabaseError as error:
        if error.sqlstate != _NO_ROOM:
            raise
        return Limit.STORAGE
    row = await cursor.fetchone()
    return None if row is not None and row["is_granted"] else Limit.MONTH


def _this_month() -> date:
    return datetime.now(UTC).date().replace(day=1)
