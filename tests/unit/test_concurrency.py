"""Several at a time: in order, no more than may be, and none goes on after an error."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocelli.domain.errors import OcelliError, Unavailable, ValidationFailed
from ocelli.usecases.concurrency import STORED_AT_ONCE, bounded_map, store_all


@given(st.lists(st.integers(0, 5), max_size=20), st.integers(1, 4))
def test_results_are_in_order_and_few_are_under_way(pauses: list[int], at_once: int) -> None:
    running = most = 0

    async def work(pause: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(pause):
            await asyncio.sleep(0)
        running -= 1
        return pause

    assert asyncio.run(bounded_map(work, pauses, at_once=at_once)) == pauses
    assert most <= at_once


async def test_the_first_error_ends_the_others_and_keeps_its_cause() -> None:
    running: set[int] = set()
    cause = KeyError("why")

    async def work(number: int) -> None:
        if number == 2:
            raise ValueError("second") from cause
        running.add(number)
        try:
            await asyncio.Event().wait()
        finally:
            running.remove(number)

    with pytest.raises(ValueError, match="second") as raised:
        await bounded_map(work, [1, 2, 3], at_once=2)
    assert raised.value.__cause__ is cause
    assert not running


async def test_who_gives_up_ends_all() -> None:
    begun, ended = asyncio.Event(), []

    async def work(number: int) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    task = asyncio.create_task(bounded_map(work, [1, 2], at_once=2))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == [1, 2]


async def store(item: int | OcelliError) -> str:
    if isinstance(item, OcelliError):
        raise item
    return f"stored {item}"


async def test_what_is_refused_spoils_nothing_else() -> None:
    items: list[int | OcelliError] = [1, ValidationFailed("no", field="file"), 3]
    for some in (items, items[1:2]):
        stored = await store_all(store, some, lambda _, error: error.message)
        assert stored == [f"stored {each}" if isinstance(each, int) else "no" for each in some]


async def test_what_is_refused_may_stop_all() -> None:
    def stop(_: object, error: OcelliError) -> str:
        raise error

    items: list[int | OcelliError] = [*range(STORED_AT_ONCE), Unavailable("the disk is full")]
    with pytest.raises(Unavailable):
        await store_all(store, items, stop)
