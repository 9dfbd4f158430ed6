"""Stopped at any moment: no task, no socket, no file is left behind."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.sdk.sdk_server import KEY, FakeServer
from tests.waiting import eventually, until

from aion import AionVision

Photos = Callable[..., list[Path]]


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def asked(server: FakeServer, times: int) -> None:
    """Until the server was asked so many times."""

    async def so_often() -> bool:
        return len(server.seen) >= times

    await eventually(so_often)


@pytest.mark.parametrize("after", [0, 1, 2, 3, 6, 12])
@pytest.mark.parametrize("events", [True, False])
async def test_cancelled(after: int, events: bool, server: FakeServer, photos: Photos) -> None:
    server.events, server.describe_after, server.delay = events, 60, 0.01
    paths = photos(150)
    for path in paths[::10]:
        path.write_bytes(os.urandom(600_000))
    before = asyncio.all_tasks()
    files = open_files()
    async with AionVision(KEY, base_url=server.url, polling_interval=0.05) as client:
        task = asyncio.create_task(client.upload(paths))
        await asked(server, after)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() <= before
        # The client can be used on.
        server.describe_after, server.delay = 0, 0
        assert (await client.upload_one(paths[0])).is_completed
    until(lambda: server.connections == 0)
    assert asyncio.all_tasks() <= before
    gc.collect()
    until(lambda: open_files() <= files)


@pytest.mark.parametrize("after", [0.001, 0.02, 0.1])
async def test_one_cancelled(after: float, server: FakeServer, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(os.urandom(30 * 2**20))
    server.describe_after = 60
    before = asyncio.all_tasks()
    async with AionVision(KEY, base_url=server.url, polling_interval=0.05) as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.upload_one(path), after)
        assert asyncio.all_tasks() <= before
    until(lambda: server.connections == 0)


async def test_failed(server: FakeServer, photos: Photos) -> None:
    before = asyncio.all_tasks()
    server.fault("/stream-batch", "cut", times=10**6)
    async with AionVision(KEY, base_url=server.url, retry_delay=0.01) as client:
        with pytest.raises(client.AionvisionError):
            await client.upload(photos(50))
        assert asyncio.all_tasks() <= before
    until(lambda: server.connections == 0)


def test_with_debugging_on(server: FakeServer, photos: Photos) -> None:
    """Nothing is awaited twice, or never, or in the wrong thread."""

    async def no_other_task() -> bool:
        return len(asyncio.all_tasks()) == 1

    async def main() -> None:
        loop = asyncio.get_running_loop()
        problems: list[dict[str, object]] = []
        loop.set_exception_handler(lambda _, context: problems.append(context))
        async with AionVision(KEY, base_url=server.url, polling_interval=0.05) as client:
            assert (await client.upload(photos(30))).succeeded_count == 30
            task = asyncio.create_task(client.upload(photos(*(f"b{n}.jpg" for n in range(30)))))
            await asked(server, len(server.seen) + 2)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await eventually(no_other_task)
        gc.collect()
        assert problems == []

    asyncio.run(main(), debug=True)
