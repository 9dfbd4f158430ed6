"""When the sweep acts, and when it waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from ocelli.domain.errors import Unavailable
from ocelli.worker import sweep
from ocelli.worker.loop import HOUSEKEEPING_ATTEMPTS, Backoff


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "SWEEP_INTERVAL", 0.001)
    monkeypatch.setattr(sweep, "STALL_THRESHOLD", 30.0)


@asynccontextmanager
async def alone(_: str) -> AsyncIterator[bool]:
    yield True


class Queue:
    """The queue; counts how often it is asked for what dead workers held."""

    def __init__(self) -> None:
        self.asked = 0
        self.job_manager = self

    async def get_stalled_jobs(self, **_: float) -> list[Any]:
        self.asked += 1
        return []


def swept(queue: Queue, lock: sweep.TryLock, *periodic_tasks: Callable[[], Any]) -> sweep.Sweep:
    return sweep.Sweep(queue, {}, lock, periodic_tasks=periodic_tasks, max_attempts=3)  # type: ignore[arg-type]


async def test_a_chore_that_failed_is_tried_in_the_next_round() -> None:
    stop, tries = asyncio.Event(), 0

    async def periodic_task() -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise Unavailable("The database does not answer right now.")
        stop.set()

    await swept(Queue(), alone, periodic_task).run(stop, 3.5)
    assert tries == 2


async def test_one_that_was_held_up_gives_others_a_round_to_be_heard() -> None:
    stop, queue, rounds = asyncio.Event(), Queue(), 0
    asked: list[int] = []

    @asynccontextmanager
    async def lock(_: str) -> AsyncIterator[bool]:
        nonlocal rounds
        rounds += 1
        if rounds == 2:
            clock.now += 60.0  # the database was frozen
        yield True
        asked.append(queue.asked)
        if rounds == 3:
            stop.set()

    clock = SimpleNamespace(now=0.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "time", SimpleNamespace(monotonic=lambda: clock.now))
        await swept(queue, lock).run(stop, 3.5)
    assert asked == [1, 1, 2]


def test_housekeeping_is_tried_again_within_a_minute_each_time() -> None:
    again = Backoff(HOUSEKEEPING_ATTEMPTS)
    waits = []
    for attempts in range(HOUSEKEEPING_ATTEMPTS - 1):
        job = SimpleNamespace(attempts=attempts)
        decision = again.get_retry_decision(exception=OSError(), job=job)  # type: ignore[arg-type]
        assert decision is not None
        assert decision.retry_at is not None
        waits.append((decision.retry_at - datetime.now(UTC)).total_seconds())
    assert max(waits) <= 60
    assert 20 * 60 < sum(waits) < 60 * 60
