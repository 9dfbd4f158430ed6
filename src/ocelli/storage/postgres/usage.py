"""The meters: ``usage_months``, ``usage_days`` and what a tenant stores."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ocelli.domain.analysis import Level
from ocelli.domain.usage import Delivered, MonthlyUse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from uuid import UUID

    from ocelli.storage.postgres.rows import Connection


class PostgresUsage:
    """See ports.Usage. Each change is one statement that checks and counts."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def month(self, tenant_id: UUID) -> MonthlyUse:
        """This month's meters, and what is stored now."""
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

    async def reserve(
        self,
        tenant_id: UUID,
        *,
        uploads: int,
        descriptions: int,
        credits: int,
        max_uploads: int | None,
        max_descriptions: int | None,
    ) -> bool:
        """See ports.Usage."""
        cursor = await self._connection.execute(
            "INSERT INTO usage_months AS u (tenant_id, month, uploads, descriptions, credits)"
            " SELECT %(tenant)s, %(month)s, %(uploads)s, %(descriptions)s, %(credits)s"
            " WHERE (%(max_uploads)s::bigint IS NULL OR %(uploads)s <= %(max_uploads)s)"
            " AND (%(max_descriptions)s::bigint IS NULL"
            " OR %(descriptions)s <= %(max_descriptions)s)"
            " ON CONFLICT (tenant_id, month) DO UPDATE SET"
            " uploads = u.uploads + excluded.uploads,"
            " descriptions = u.descriptions + excluded.descriptions,"
            " credits = u.credits + excluded.credits"
            " WHERE (%(max_uploads)s::bigint IS NULL"
            " OR excluded.uploads = 0 OR u.uploads + excluded.uploads <= %(max_uploads)s)"
            " AND (%(max_descriptions)s::bigint IS NULL OR excluded.descriptions = 0"
            " OR u.descriptions + excluded.descriptions <= %(max_descriptions)s)"
            " RETURNING uploads",
            {
                "tenant": tenant_id,
                "month": _this_month(),
                "uploads": uploads,
                "descriptions": descriptions,
                "credits": credits,
                "max_uploads": max_uploads,
                "max_descriptions": max_descriptions,
            },
        )
        return await cursor.fetchone() is not None

    async def give_back(self, tenant_id: UUID, *, descriptions: int, credits: int) -> None:
        """Never below zero: what was reserved last month is not given back to this one."""
        await self._connection.execute(
            "UPDATE usage_months SET descriptions = greatest(0, descriptions - %s),"
            " credits = greatest(0, credits - %s) WHERE tenant_id = %s AND month = %s",
            (descriptions, credits, tenant_id, _this_month()),
        )

    async def store(
        self, tenant_id: UUID, size_bytes: int, *, max_bytes: int | None = None
    ) -> bool:
        """See ports.Usage."""
        cursor = await self._connection.execute(
            "UPDATE tenants SET storage_bytes = greatest(0, storage_bytes + %s) WHERE id = %s"
            " AND (%s::bigint IS NULL OR storage_bytes + %s <= %s)",
            (size_bytes, tenant_id, max_bytes, size_bytes, max_bytes),
        )
        return cursor.rowcount == 1

    async def delivered(
        self,
        tenant_id: UUID,
        *,
        operation: str,
        level: Level,
        succeeded: int,
        failed: int,
        credits: int,
        milliseconds: float,
    ) -> None:
        """Count for today (UTC)."""
        await self._connection.execute(
            "INSERT INTO usage_days AS u (tenant_id, day, operation, level, succeeded, failed,"
            " credits, milliseconds) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (tenant_id, day, operation, level) DO UPDATE SET"
            " succeeded = u.succeeded + excluded.succeeded, failed = u.failed + excluded.failed,"
            " credits = u.credits + excluded.credits,"
            " milliseconds = u.milliseconds + excluded.milliseconds",
            (
                tenant_id,
                datetime.now(UTC).date(),
                operation,
                level,
                succeeded,
                failed,
                credits,
                milliseconds,
            ),
        )

    async def days(self, tenant_id: UUID, start: date, end: date) -> Sequence[Delivered]:
        """See ports.Usage."""
        cursor = await self._connection.execute(
            "SELECT operation, level, sum(succeeded)::bigint AS succeeded,"
            " sum(failed)::bigint AS failed, sum(credits)::bigint AS credits,"
            " sum(milliseconds) AS milliseconds FROM usage_days"
            " WHERE tenant_id = %s AND day BETWEEN %s AND %s"
            " GROUP BY operation, level ORDER BY operation, level",
            (tenant_id, start, end),
        )
        return [
            Delivered(
                row["operation"],
                Level(row["level"]),
                row["succeeded"],
                row["failed"],
                row["credits"],
                row["milliseconds"],
            )
            for row in await cursor.fetchall()
        ]


def _this_month() -> date:
    return datetime.now(UTC).date().replace(day=1)
