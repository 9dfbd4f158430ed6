"""Rate limits of keys, and limits of concurrent uploads."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ocelli.domain.accounts import TIER_LIMITS
from ocelli.domain.errors import RateLimited
from ocelli.domain.rates import IDLE_TIMEOUT, Budget, Lease, RateState
from ocelli.usecases.batcher import consume_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from uuid import UUID

    from ocelli.domain.accounts import ApiKey, Tenant, Tier, TierLimits
    from ocelli.storage.postgres.database import PostgresDatabase

ALL_ROUTES = ""


class RateLimiter:
    """Counts requests per key and minute, exactly, over all processes on one database."""

    def __init__(
        self,
        database: PostgresDatabase,
        limits: Mapping[Tier, TierLimits] = TIER_LIMITS,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._limits = limits
        self._clock = clock
        self._leases: dict[Budget, _LeaseWithWaiters] = {}

    async def count(self, key: ApiKey, route: str, per_minute: int | None = None) -> RateState:
        """Count one request against the key's limit, and the route's own if it has one.

        Returns the state of the limit with less left. Raises Unavailable without a database.
        """
        limit = key.tenant.requests_per_minute or self._limits[key.tenant.tier].requests_per_minute
        state = await self._spend(Budget(key.id, ALL_ROUTES, limit))
        if state.exceeded or per_minute is None:
            return state
        own = await self._spend(Budget(key.id, route, per_minute))
        return own if own.exceeded or own.remaining < state.remaining else state

    async def give_back(self, *, idle: float = IDLE_TIMEOUT) -> None:
        """Give back slices that were not used for ``idle`` seconds; called once a second."""
        now = self._clock()
        self._leases = {
            budget: lease
            for budget, lease in self._leases.items()
            if lease.waiting or lease.leasing or not lease.has_ended(now)
        }
        unused = [  # with its minute: by the time it is taken back the lease may be of the next one
            (lease.budget, count, lease.reset)
            for lease in self._leases.values()
            if (count := lease.give_back(now, idle=idle))
        ]
        if unused:
            async with self._database.transaction() as tx:
                for budget, count, reset in unused:
                    await tx.rates.give_back(budget, count, reset=reset)

    async def _spend(self, budget: Budget) -> RateState:
        lease = self._leases.get(budget)
        if lease is None:
            lease = self._leases[budget] = _LeaseWithWaiters(budget)
        now = self._clock()
        state = lease.spend(now)
        if state is None:
            return await self._lease_and_spend(lease)
        if lease.leasing is None and lease.is_low(now):
            self._start_lease(lease)  # without a database: who needs the slice will hear of it
        return state

    async def _lease_and_spend(self, lease: _LeaseWithWaiters) -> RateState:
        """Lease a slice, one query for all waiting requests, and count this one."""
        lease.waiting += 1
        try:
            while (state := lease.spend(self._clock())) is None:
                await asyncio.shield(lease.leasing or self._start_lease(lease))
        finally:
            lease.waiting -= 1
        return state

    def _start_lease(self, lease: _LeaseWithWaiters) -> asyncio.Task[None]:
        lease.leasing = asyncio.create_task(self._lease_slice(lease))
        lease.leasing.add_done_callback(consume_error)
        return lease.leasing

    async def _lease_slice(self, lease: _LeaseWithWaiters) -> None:
        asked_at = self._clock()
        try:
            async with self._database.transaction() as tx:
                grant = await tx.rates.lease(
                    lease.budget, needed=lease.waiting, requested=lease.next_size(asked_at)
                )
        finally:
            lease.leasing = None  # not when its callbacks run: until then others would wait for it
        lease.receive(grant, asked_at=asked_at, now=self._clock())


class _LeaseWithWaiters(Lease):
    """A lease, and the number of requests that wait for it."""

    def __init__(self, budget: Budget) -> None:
        super().__init__(budget)
        self.leasing: asyncio.Task[None] | None = None
        self.waiting = 0


class UploadSlots:
    """Counts the running uploads of each tenant in this process.

    Each API process counts for itself: the limit protects its memory and disk, it is no quota.
    Unmetered tenants have no limit.
    """

    def __init__(self, limits: Mapping[Tier, TierLimits] = TIER_LIMITS) -> None:
        self._limits = limits
        self._running: Counter[UUID] = Counter()

    @asynccontextmanager
    async def acquire(self, tenant: Tenant) -> AsyncIterator[None]:
        """Count an upload inside this block. Raises RateLimited if it exceeds the limit."""
        limit = self._limits[tenant.tier].concurrent_uploads
        if self._running[tenant.id] >= limit and not tenant.unmetered:
            raise RateLimited(
                f"More than {limit} uploads at the same time. Try again when one has ended.",
                retry_after=1,
            )
        self._running[tenant.id] += 1
        try:
            yield
        finally:
            self._running[tenant.id] -= 1
            if not self._running[tenant.id]:
                del self._running[tenant.id]
