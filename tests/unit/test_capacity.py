"""Memory is shared: what is too much together waits, and nobody takes all of it."""

from __future__ import annotations

import asyncio
import contextlib
import uuid

import pytest

from ocelli.domain.errors import Unavailable
from ocelli.usecases.capacity import Capacity

ONE, TWO = uuid.uuid4(), uuid.uuid4()


class User:
    """Holds so much until it is told to let go."""

    def __init__(self, capacity: Capacity, tenant: uuid.UUID, amount: int) -> None:
        self.has = asyncio.Event()
        self.done = asyncio.Event()
        self.task = asyncio.create_task(self._hold(capacity, tenant, amount))

    async def _hold(self, capacity: Capacity, tenant: uuid.UUID, amount: int) -> None:
        async with capacity.acquire(tenant, amount):
            self.has.set()
            await self.done.wait()

    async def ends(self) -> None:
        self.done.set()
        await self.task


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_is_too_much_together_waits_in_order() -> None:
    capacity = Capacity(100, share=100)
    first, second, third = (User(capacity, ONE, amount) for amount in (60, 60, 30))
    await settle()
    assert [each.has.is_set() for each in (first, second, third)] == [True, False, False]
    await first.ends()
    await settle()
    assert second.has.is_set()
    assert third.has.is_set()
    await second.ends()
    await third.ends()


async def test_a_tenant_has_its_share_and_holds_nobody_up() -> None:
    capacity = Capacity(100, share=70)
    greedy = [User(capacity, ONE, 40) for _ in range(5)]
    other = User(capacity, TWO, 60)
    await settle()
    assert [each.has.is_set() for each in greedy] == [True, False, False, False, False]
    assert other.has.is_set()
    for each in (*greedy, other):
        await each.ends()


async def test_more_than_a_share_counts_as_one() -> None:
    capacity = Capacity(100, share=70)
    async with capacity.acquire(ONE, 10_000), capacity.acquire(TWO, 30):
        pass


async def test_waiting_has_an_end_and_leaves_nothing() -> None:
    capacity = Capacity(100, share=100, wait=0.01)
    async with capacity.acquire(ONE, 100):
        with pytest.raises(Unavailable) as raised:
            async with capacity.acquire(TWO, 1):
                pass
        assert raised.value.retry_after
        waiting = User(capacity, TWO, 1)
        await settle()
        waiting.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting.task
    async with capacity.acquire(TWO, 100):
        pass


async def test_one_that_is_cut_off_when_its_turn_comes_gives_it_back() -> None:
    capacity = Capacity(100, share=100)
    first, second = User(capacity, ONE, 100), User(capacity, ONE, 100)
    await settle()
    first.done.set()
    await asyncio.wait([first.task])
    second.task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await second.task
    async with capacity.acquire(TWO, 100):
        pass
