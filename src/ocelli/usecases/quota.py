"""Monthly limits and storage quotas, checked and counted in the transaction that uses them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from ocelli.domain.accounts import TIER_LIMITS
from ocelli.domain.errors import StorageQuotaExceeded, UsageLimitExceeded
from ocelli.domain.usage import Charge, DayOfUse, Limit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from ocelli.domain.accounts import Tenant, Tier, TierLimits
    from ocelli.domain.usage import Delivered, MonthlyUse, UsageHistory
    from ocelli.storage.postgres.database import PostgresDatabase, PostgresTransaction


@dataclass(frozen=True, slots=True)
class QuotaStatus:
    """A tenant's limits, and its usage of this month."""

    limits: TierLimits
    used: MonthlyUse
    reset: date

    @property
    def uploads_left(self) -> int | None:
        """Uploads left this month; None: unlimited."""
        return _remaining(self.limits.monthly_uploads, self.used.uploads)

    @property
    def descriptions_left(self) -> int | None:
        """Descriptions left this month; None: unlimited."""
        return _remaining(self.limits.monthly_descriptions, self.used.descriptions)


class Quota:
    """Use cases around the limits of tiers and the meters of tenants."""

    def __init__(
        self, database: PostgresDatabase, tiers: Mapping[Tier, TierLimits] = TIER_LIMITS
    ) -> None:
        self._database = database
        self._tiers = tiers

    def limits(self, tenant: Tenant) -> TierLimits:
        """Return the limits of the tenant's tier, without monthly ones for unmetered tenants."""
        limits = self._tiers[tenant.tier]
        if tenant.unmetered:
            limits = replace(
                limits, monthly_uploads=None, monthly_descriptions=None, storage_bytes=None
            )
        return limits

    async def status(self, tenant: Tenant) -> QuotaStatus:
        """Return limits and usage, for answers only: ``reserve`` decides."""
        async with self._database.autocommit() as tx:
            used = await tx.usage.month(tenant.id)
        return QuotaStatus(self.limits(tenant), used, _next_month(used.month))

    async def delivered(
        self, tenant: Tenant, start: date, end: date, key_id: UUID | None = None
    ) -> list[Delivered]:
        """Return the results delivered from ``start`` to ``end``, both inclusive.

        With ``key_id`` those of requests by this key.
        """
        async with self._database.autocommit() as tx:
            return list(await tx.usage.days(tenant.id, start, end, key_id))

    async def history(self, tenant: Tenant, start: date, end: date) -> UsageHistory:
        """Return what was used from ``start`` to ``end``, both inclusive, with every day."""
        async with self._database.snapshot() as tx:
            found = await tx.usage.history(tenant.id, start, end)
        days = {each.day: each for each in found.days}
        dates = (start + timedelta(days=n) for n in range((end - start).days + 1))
        return replace(found, days=[days.get(day) or DayOfUse(day) for day in dates])

    def charge(
        self,
        tenant: Tenant,
        *,
        uploads: int,
        descriptions: int,
        credits: int,
        size_bytes: int = 0,
    ) -> Charge:
        """Return the charge for these amounts, within the tenant's limits."""
        limits = self.limits(tenant)
        return Charge(
            tenant_id=tenant.id,
            uploads=uploads,
            descriptions=descriptions,
            credits=credits,
            size_bytes=size_bytes,
            max_uploads=limits.monthly_uploads,
            max_descriptions=limits.monthly_descriptions,
            max_bytes=limits.storage_bytes,
        )

    async def reserve(
        self,
        tx: PostgresTransaction,
        tenant: Tenant,
        *,
        uploads: int,
        descriptions: int,
        credits: int,
    ) -> None:
        """Count files and descriptions. Raises UsageLimitExceeded.

        Must come last in its transaction: it holds the tenant's meters until the commit.
        """
        charge = self.charge(tenant, uploads=uploads, descriptions=descriptions, credits=credits)
        raise_if_reached(tenant, charge, await tx.usage.reserve(charge))


def raise_if_reached(tenant: Tenant, charge: Charge, reached: Limit | None) -> None:
    """Raise UsageLimitExceeded or StorageQuotaExceeded if a limit was reached."""
    if reached is Limit.MONTH:
        raise UsageLimitExceeded(
            f"This month's limit of the tier {tenant.tier} is reached: "
            f"{_limit_text(charge.max_uploads)} uploads, "
            f"{_limit_text(charge.max_descriptions)} descriptions.",
            details={
                "tier": tenant.tier,
                "files": charge.uploads,
                "descriptions": charge.descriptions,
            },
        )
    if reached is Limit.STORAGE:
        raise StorageQuotaExceeded(
            "The storage of this tenant is full. Delete some files first.",
            details={"max_bytes": charge.max_bytes},
        )


def _remaining(limit: int | None, used: int) -> int | None:
    return None if limit is None else max(0, limit - used)


def _limit_text(limit: int | None) -> str:
    return "unlimited" if limit is None else f"{limit:,}"


def _next_month(month: date) -> date:
    return (month + timedelta(days=32)).replace(day=1)
