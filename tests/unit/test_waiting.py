"""Waiting for what another process does."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from ocelli.usecases import waiting
from ocelli.usecases.waiting import set_within, wait_until

ID = uuid.uuid4()


class Counter:
    """Counts up with each look at it, and notifies no one."""

    def __init__(self) -> None:
        self.value = 0
        self.listeners = 0

    @asynccontextmanager
    async def listen(self, id: UUID) -> AsyncIterator[asyncio.Event]:
        assert id == ID
        self.listeners += 1
        try:
            yield asyncio.Event()
        finally:
            self.listeners -= 1

    async def read(self) -> int:
        self.value += 1
        return self.value

    async def reaches(self, number: int, timeout: float) -> int:
        found = await wait_until(
            self.listen, ID, self.read, lambda value: value >= number, timeout=timeout
        )
        assert self.listeners == 0
        return found


async def test_what_is_done_already_is_not_waited_for() -> None:
    assert await Counter().reaches(1, timeout=0) == 1


async def test_a_lost_notification_costs_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "POLL_INTERVAL", 0.01)
    assert await Counter().reaches(3, timeout=600) == 3


async def test_in_the_end_it_is_as_it_is() -> None:
    assert await Counter().reaches(99, timeout=0.01) == 2


async def test_a_notification_wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "POLL_INTERVAL", 600)
    event = asyncio.Event()

    @asynccontextmanager
    async def listen(_: UUID) -> AsyncIterator[asyncio.Event]:
        yield event

    looks: list[int] = []

    async def read() -> int:
        looks.append(1)
        asyncio.get_running_loop().call_soon(event.set)
        return len(looks)

    assert await wait_until(listen, ID, read, lambda found: found == 2, timeout=600) == 2


async def test_an_event_within_a_time() -> None:
    event = asyncio.Event()
    assert not await set_within(event, 0.01)
    event.set()
    assert await set_within(event, 0)
