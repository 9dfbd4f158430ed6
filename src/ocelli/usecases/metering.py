"""The meters of calls that are too quick to write down one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocelli.domain.analysis import VerificationLevel
from ocelli.domain.usage import Charge

if TYPE_CHECKING:
    from uuid import UUID

    from ocelli.domain.accounts import Tenant
    from ocelli.storage.postgres.database import PostgresDatabase
    from ocelli.storage.postgres.usage import PostgresUsage
    from ocelli.usecases.quota import Quota


@dataclass(slots=True)
class _Pending:
    """What happened since it was last written down. ``taken`` is not reserved yet."""

    taken: int = 0
    given_back: int = 0
    succeeded: int = 0
    failed: int = 0
    milliseconds: float = 0.0

    def __iadd__(self, more: _Pending) -> _Pending:
        self.taken += more.taken
        self.given_back += more.given_back
        self.succeeded += more.succeeded
        self.failed += more.failed
        self.milliseconds += more.milliseconds
        return self


class Metering:
    """Counts calls of one operation, each one description and one credit.

    Where a month's share is limited, each call is reserved before it is made: exact over all
    processes, for one statement. Where it is not, calls are counted here and written down once a
    second; a process that is killed forgets its last second.
    """

    def __init__(self, database: PostgresDatabase, quota: Quota, operation: str) -> None:
        self._database = database
        self._quota = quota
        self._operation = operation
        self._pending: dict[UUID, _Pending] = {}

    async def begin(self, tenant: Tenant) -> None:
        """One call is about to be made. Raises UsageLimitExceeded."""
        if self._quota.limits(tenant).monthly_descriptions is not None:
            async with self._database.transaction() as tx:
                await self._quota.reserve(tx, tenant, uploads=0, descriptions=1, credits=1)

    def end(self, tenant: Tenant, *, succeeded: bool, milliseconds: float) -> None:
        """It has ended; one that failed is not charged."""
        limited = self._quota.limits(tenant).monthly_descriptions is not None
        pending = self._pending.setdefault(tenant.id, _Pending())
        if succeeded:
            pending.succeeded += 1
            pending.milliseconds += milliseconds
            pending.taken += not limited
        else:
            pending.failed += 1
            pending.given_back += limited

    async def write_down(self) -> None:
        """Save what is pending; what cannot be saved now is saved next time."""
        pending, self._pending = self._pending, {}
        if not pending:
            return
        try:
            async with self._database.transaction() as tx:
                for id in sorted(pending):  # one order for all, so that nobody waits in a circle
                    await self._write(tx.usage, id, pending[id])
        except BaseException:
            for id, each in pending.items():
                self._pending[id] = self._pending.get(id, _Pending())
                self._pending[id] += each
            raise

    async def _write(self, usage: PostgresUsage, id: UUID, each: _Pending) -> None:
        await usage.delivered(
            id,
            operation=self._operation,
            level=VerificationLevel.QUICK,
            succeeded=each.succeeded,
            failed=each.failed,
            credits=each.succeeded,
            milliseconds=each.milliseconds,
        )
        if each.taken:
            await usage.reserve(Charge(tenant_id=id, descriptions=each.taken, credits=each.taken))
        if each.given_back:
            await usage.give_back(id, descriptions=each.given_back, credits=each.given_back)
