"""Decoding for tenants: a budget for each process, and a share of it for each tenant."""

from __future__ import annotations

import asyncio
import gc
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import closing

import pytest
from tests import bombs

from ocelli.domain.errors import AnalysisFailed, FailureType, Unavailable
from ocelli.media import memory
from ocelli.media.header import read_header
from ocelli.usecases.decoders import DecoderPool

SMALL = bombs.gif(10, 10)
NEEDED = memory.needed(read_header(SMALL, max_pixels=100), 10)
ONE, OTHER = uuid.uuid4(), uuid.uuid4()


@pytest.fixture
def pool() -> Iterator[DecoderPool]:
    """Two decoders, and room for two small pictures of a tenant."""
    with closing(DecoderPool(max_pixels=10**8, budget=2 * NEEDED, wait=0.2)) as pool:
        yield pool


class Work:
    """Blocks until it may end."""

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.may_end.wait(60)
        return "done"


async def begun(pool: DecoderPool, tenant: uuid.UUID) -> tuple[Work, asyncio.Task[str]]:
    work = Work()
    task = asyncio.create_task(pool.decode(tenant, SMALL, work, side=10))
    await asyncio.to_thread(work.begun.wait, 60)
    return work, task


async def test_one_tenant_leaves_a_decoder_for_the_others(pool: DecoderPool) -> None:
    work, task = await begun(pool, ONE)
    with pytest.raises(Unavailable, match="picture decoder"):
        await pool.decode(ONE, SMALL, lambda: "mine", side=10)
    assert await pool.decode(OTHER, SMALL, lambda: "other", side=10) == "other"
    work.may_end.set()
    assert await task == "done"
    assert await pool.decode(ONE, SMALL, lambda: "mine", side=10) == "mine"


async def test_memory_is_shared_too(pool: DecoderPool) -> None:
    async with pool.room(ONE, 2 * NEEDED):
        with pytest.raises(Unavailable, match="memory"):
            await pool.decode(ONE, SMALL, lambda: "mine", side=10)


async def test_what_needs_more_than_there_is_for_one_is_refused(pool: DecoderPool) -> None:
    def never() -> None:
        raise AssertionError("it was decoded")

    with pytest.raises(AnalysisFailed, match="more than the 32 MB") as failure:
        await pool.decode(ONE, bombs.gif(2500, 2500), never, side=10)
    assert failure.value.type is FailureType.RESOURCE_LIMIT
    assert not failure.value.retryable
    with pytest.raises(AnalysisFailed, match="more than the limit") as failure:
        await pool.decode(ONE, bombs.gif(50_000, 50_000), never, side=10)
    assert failure.value.type is FailureType.VALIDATION


async def test_a_caller_that_is_gone_takes_its_room_until_the_work_ends(
    pool: DecoderPool,
) -> None:
    work, task = await begun(pool, ONE)
    task.cancel()
    with pytest.raises(Unavailable):
        await pool.decode(ONE, SMALL, lambda: "mine", side=10)
    work.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await pool.decode(ONE, SMALL, lambda: "mine", side=10) == "mine"


async def test_what_goes_wrong_for_a_caller_that_is_gone_is_not_told(
    pool: DecoderPool, capture_loop_errors: list[str]
) -> None:
    work = Work()

    def failing() -> None:
        work()
        raise AnalysisFailed(FailureType.VALIDATION, "damaged", retryable=False)

    task = asyncio.create_task(pool.decode(ONE, SMALL, failing, side=10))
    await asyncio.to_thread(work.begun.wait, 60)
    task.cancel()
    work.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    del task
    gc.collect()
    assert capture_loop_errors == []


@pytest.fixture
async def capture_loop_errors() -> AsyncIterator[list[str]]:
    """What the event loop would complain of."""
    told: list[str] = []
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: told.append(context["message"]))
    yield told
    loop.set_exception_handler(before)
