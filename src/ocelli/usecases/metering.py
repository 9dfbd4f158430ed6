"""Meters of calls that are too frequent to be stored one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocelli.domain.analysis import VerificationLevel
from ocelli.domain.usage import Charge

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from ocelli.domain.accounts import Tenant
    from ocelli.storage.postgres.database import PostgresDatabase
    from ocelli.storage.postgres.usage import PostgresUsage
    from ocelli.usecases.quota import Quota

    Payer = tuple[UUID, UUID | None]  # a tenant, and the key that it acts by


@dataclass(slots=True)
class _Pending:
    """The counts since the last save. ``unreserved`` calls are not yet on the tenant's meters."""

    unreserved: int = 0
    given_back: int = 0
    succeeded: int = 0
    failed: int = 0
    milliseconds: float = 0.0

    def __iadd__(self, more: _Pending) -> _Pending:
        self.unreserved += more.unreserved
        self.given_back += more.given_back
        self.succeeded += more.succeeded
        self.failed += more.failed
        self.milliseconds += more.milliseconds
        return self


class Metering:
    """Counts calls of one operation, each one description and one credit.

    If the tenant has a monthly limit, each call is reserved before it is made: exact over all
    processes, for one statement. If not, calls are counted here and saved once a second; a process
    that is killed loses its last second.
    """

    def __init__(self, database: PostgresDatabase, quota: Quota, operation: str) -> None:
        self._database = database
        self._quota = quota
        self._operation = operation
        self._pending: dict[Payer, _Pending] = {}

    async def begin(self, tenant: Tenant) -> None:
        """Count a call that is about to be made. Raises UsageLimitExceeded."""
        if self._quota.limits(tenant).monthly_descriptions is not None:
            async with self._database.transaction() as tx:
                await self._quota.reserve(tx, tenant, uploads=0, descriptions=1, credits=1)

    def end(self, tenant: Tenant, *, succeeded: bool, milliseconds: float) -> None:
        """Count the end of a call; a failed one is not charged."""
        limited = self._quota.limits(tenant).monthly_descriptions is not None
        pending = self._pending.setdefault((tenant.id, tenant.key_id), _Pending())
        if succeeded:
            pending.succeeded += 1
            pending.milliseconds += milliseconds
            pending.unreserved += not limited
        else:
            pending.failed += 1
            pending.given_back += limited

    async def save(self) -> None:
        """Store the pending counts; after an error they are kept for the next call."""
        pending, self._pending = self._pending, {}
        if not pending:
            return
        try:
            async with self._database.transaction() as tx:
                await self._write(tx.usage, pending)
        except BaseException:
            for payer, each in pending.items():
                self._pending[payer] = self._pending.get(payer, _Pending())
                self._pending[payer] += each
            raise

    async def _write(self, usage: PostgresUsage, pending: Mapping[Payer, _Pending]) -> None:
        """Write the days of all before the month of any: one order for all, against deadlocks."""
        in_order = sorted(pending.items(), key=lambda item: tuple(map(str, item[0])))
        for payer, each in in_order:
            await self._count(usage, payer, each)
        for (tenant_id, _), each in in_order:
            await self._charge(usage, tenant_id, each)

    async def _count(self, usage: PostgresUsage, payer: Payer, each: _Pending) -> None:
        await usage.delivered(
            *payer,
            operation=self._operation,
            level=VerificationLevel.QUICK,
            succeeded=each.succeeded,
            failed=each.failed,
            credits=each.succeeded,
            milliseconds=each.milliseconds,
        )

    async def _charge(self, usage: PostgresUsage, id: UUID, each: _Pending) -> None:
        if each.unreserved:
            await usage.reserve(
                Charge(tenant_id=id, descriptions=each.unreserved, credits=each.unreserved)
            )
        if each.given_back:
            await usage.give_back(id, descriptions=each.given_back, credits=each.given_back)
