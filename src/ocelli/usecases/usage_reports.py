"""What a tenant used: by period, by picture, by conversation, and against its plan."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from ocelli.domain.usage_reports import Activity, Period, TokenPage, period_of

if TYPE_CHECKING:
    from uuid import UUID

    from ocelli.domain.accounts import Tenant
    from ocelli.domain.claims import Tokens
    from ocelli.storage.postgres.database import PostgresDatabase

_DAYS = {Period.WEEK: 7, Period.MONTH: 30, Period.YEAR: 365}


class UsageReports:
    """Sums over the meters. Each answer is of one moment."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def tokens(self, tenant: Tenant, month: date) -> Tokens:
        """Return the tokens of the looks of a calendar month."""
        start, before = period_of(Period.MONTH, month)
        async with self._database.autocommit() as tx:
            return await tx.usage_reports.tokens(tenant.id, start, before)

    async def delivered(
        self, tenant: Tenant, start: date, end: date, key_id: UUID | None, *, by_month: bool
    ) -> dict[date, int]:
        """Return the results of each day or month, delivered or failed, with every one."""
        async with self._database.autocommit() as tx:
            found = await tx.usage_reports.delivered(
                tenant.id, start, end, key_id, by_month=by_month
            )
        return {each: found.get(each, 0) for each in _steps(start, end, by_month=by_month)}

    async def files(self, tenant: Tenant, limit: int, offset: int) -> TokenPage:
        """Return the tokens of described pictures."""
        async with self._database.snapshot() as tx:
            return await tx.usage_reports.files(tenant.id, limit, offset)

    async def conversations(self, tenant: Tenant, limit: int, offset: int) -> TokenPage:
        """Return the tokens of conversations."""
        async with self._database.snapshot() as tx:
            return await tx.usage_reports.conversations(tenant.id, limit, offset)

    async def activity(self, tenant: Tenant, period: Period) -> Activity:
        """Return what happened in the last 7, 30 or 365 days, today included."""
        end = datetime.now(UTC).date()
        async with self._database.snapshot() as tx:
            return await tx.usage_reports.activity(
                tenant.id, end - timedelta(days=_DAYS[period] - 1), end
            )

    async def descriptions(self, tenant: Tenant, start: date, before: date) -> int:
        """Return what whole months counted, from ``start`` until the day ``before``."""
        async with self._database.autocommit() as tx:
            return await tx.usage_reports.descriptions(tenant.id, start, before)


def _steps(start: date, end: date, *, by_month: bool) -> list[date]:
    if not by_month:
        return [start + timedelta(days=each) for each in range((end - start).days + 1)]
    months, month = [], start.replace(day=1)
    while month <= end:
        months.append(month)
        month = period_of(Period.MONTH, month)[1]
    return months
