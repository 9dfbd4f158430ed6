"""A limit on a resource of a process (memory, processes), with a share for each tenant."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocelli.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

WAIT_TIMEOUT = 30.0  # seconds


@dataclass(eq=False, slots=True)
class _Waiting:
    tenant_id: UUID | None
    amount: int
    turn: asyncio.Future[None]


class Capacity:
    """Grants at most ``total`` units at a time, and at most ``share`` to one tenant.

    Callers wait in their order, at most ``wait`` seconds; one that waits for its own tenant's share
    does not block other tenants.
    """

    def __init__(
        self, total: int, *, share: int, wait: float = WAIT_TIMEOUT, what: str = "memory"
    ) -> None:
        self._total = total
        self._share = share
        self._wait = wait
        self._what = what
        self._used = 0
        self._of_tenant: Counter[UUID | None] = Counter()
        self._waiting: list[_Waiting] = []

    @asynccontextmanager
    async def acquire(self, tenant_id: UUID | None, amount: int) -> AsyncIterator[None]:
        """Hold ``amount`` units inside this block; an amount above a share counts as one share.

        Raises Unavailable if they are not granted in time.
        """
        amount = min(amount, self._share)
        await self._take(tenant_id, amount)
        try:
            yield
        finally:
            self._give_back(tenant_id, amount)

    async def _take(self, tenant_id: UUID | None, amount: int) -> None:
        if not self._waiting and self._fits(tenant_id, amount):
            self._add(tenant_id, amount)
            return
        waiting = _Waiting(tenant_id, amount, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._serve()
        try:
            async with asyncio.timeout(self._wait):
                await waiting.turn
        except BaseException as error:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            elif (
                waiting.turn.done() and not waiting.turn.cancelled()
            ):  # served, and cut off meanwhile
                self._give_back(tenant_id, amount)
            self._serve()
            if isinstance(error, TimeoutError):
                raise Unavailable(
                    f"The server has no {self._what} left for this right now. Try again."
                ) from None
            raise

    def _fits(self, tenant_id: UUID | None, amount: int) -> bool:
        return (
            self._used + amount <= self._total
            and self._of_tenant[tenant_id] + amount <= self._share
        )

    def _add(self, tenant_id: UUID | None, amount: int) -> None:
        self._used += amount
        self._of_tenant[tenant_id] += amount

    def _give_back(self, tenant_id: UUID | None, amount: int) -> None:
        self._used -= amount
        self._of_tenant[tenant_id] -= amount
        if not self._of_tenant[tenant_id]:
            del self._of_tenant[tenant_id]
        self._serve()

    def _serve(self) -> None:
        """Grant waiting callers in their order, up to the first that exceeds the total."""
        for each in list(self._waiting):
            if self._used + each.amount > self._total:
                return
            if self._fits(each.tenant_id, each.amount):
                self._waiting.remove(each)
                self._add(each.tenant_id, each.amount)
                each.turn.set_result(None)
