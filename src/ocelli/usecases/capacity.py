"""So much of something for a process, and a share of it for each tenant: memory, processes."""

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

LONGEST_WAIT = 30.0  # seconds


@dataclass(eq=False, slots=True)
class _Waiting:
    tenant_id: UUID | None
    amount: int
    turn: asyncio.Future[None]


class Capacity:
    """``total`` of it at a time, at most ``share`` for one tenant; what is too much waits.

    First come, first served; but who waits for its own tenant's share holds up no other tenant.
    """

    def __init__(
        self, total: int, *, share: int, wait: float = LONGEST_WAIT, what: str = "memory"
    ) -> None:
        self._total = total
        self._share = share
        self._wait = wait
        self._what = what
        self._used = 0
        self._of_tenant: Counter[UUID | None] = Counter()
        self._waiting: list[_Waiting] = []

    @asynccontextmanager
    async def taken(self, tenant_id: UUID | None, amount: int) -> AsyncIterator[None]:
        """So much inside this block; more than a share counts as one.

        Raises Unavailable if there is no room in time.
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
        mine = _Waiting(tenant_id, amount, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        self._serve()
        try:
            async with asyncio.timeout(self._wait):
                await mine.turn
        except BaseException as error:
            if mine in self._waiting:
                self._waiting.remove(mine)
            elif mine.turn.done() and not mine.turn.cancelled():  # served, and cut off meanwhile
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
        """All who can be, in their order, up to the first for whom there is no room at all."""
        for each in list(self._waiting):
            if self._used + each.amount > self._total:
                return
            if self._fits(each.tenant_id, each.amount):
                self._waiting.remove(each)
                self._add(each.tenant_id, each.amount)
                each.turn.set_result(None)
