"""The sync client is the async one, waited for."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.sdk.sdk_server import KEY, FakeServer
from tests.waiting import PATIENCE, until

from aion import (
    AionVision,
    AuthenticationError,
    DescriptionError,
    SyncAionVision,
    set_correlation_id,
)
from aion._loop import LoopThread
from aion.resources._base import Resource

Photos = Callable[..., list[Path]]
PARTS = (
    "uploads", "files", "batch", "chats", "colors", "reviews", "vocabularies",
    "agent_operations", "agent_search", "folders", "escalation_policies", "settings", "tenant",
    "audit", "erasures", "sessions", "history", "api_keys", "usage", "webhooks",
)  # fmt: skip

ASYNC_ONLY = {"pipeline"}


def open_client(server: FakeServer) -> SyncAionVision:
    return SyncAionVision(KEY, base_url=server.url, polling_interval=0.05, retry_delay=0.01)


def public_methods(thing: type) -> dict[str, Callable[..., object]]:
    found = inspect.getmembers(thing, inspect.isfunction)
    return {name: method for name, method in found if not name.startswith("_")}


def signature(method: Callable[..., object], name: str) -> inspect.Signature:
    """Sessions of either client are classes of their own."""
    found = inspect.signature(method)
    apart = name in ("session", "chat_session")
    return found.replace(return_annotation=None) if apart else found


def pairs() -> list[tuple[type, type]]:
    both = AionVision(KEY), SyncAionVision(KEY)
    parts = [tuple(type(getattr(client, part)) for client in both) for part in PARTS]
    return [(AionVision, SyncAionVision), *parts]  # type: ignore[list-item]


@pytest.mark.parametrize(("its", "ours"), pairs())
def test_same_signatures(its: type, ours: type) -> None:
    renamed = {"aclose": "close"}
    wanted = {renamed.get(n, n): m for n, m in public_methods(its).items() if n not in ASYNC_ONLY}
    only_here = {"close_session"} if ours is SyncAionVision else set()
    assert wanted.keys() == public_methods(ours).keys() - only_here
    for name, method in public_methods(ours).items():
        if name not in only_here:
            assert signature(method, name) == signature(wanted[name], name), name
        assert inspect.getdoc(method), name
        assert not inspect.iscoroutinefunction(method)


def test_same_constructor_and_names() -> None:
    assert inspect.signature(AionVision) == inspect.signature(SyncAionVision)
    client = AionVision(KEY)
    resources = {n for n in dir(client) if isinstance(getattr(client, n), Resource)}
    deprecated = {"descriptions", "verifications"}  # which only this client has
    assert {n for n in resources if not n.startswith("_")} == {*PARTS, *deprecated}
    assert all(hasattr(SyncAionVision(KEY), part) for part in PARTS)


def test_the_correlation_id_of_a_thread(server: FakeServer) -> None:
    from contextvars import copy_context

    with open_client(server) as client:

        def task(name: str) -> None:
            set_correlation_id(name)
            client.uploads.check_quota()
            client.uploads.check_quota()

        for name in ("a", "b"):
            copy_context().run(task, name)
        client.uploads.check_quota()
    sent = [headers["X-Correlation-ID"] for headers in server.headers]
    assert sent[:4] == ["a", "a", "b", "b"]
    assert len(sent[4]) == 36


def test_within_a_running_loop(server: FakeServer, photos: Photos) -> None:
    async def main() -> None:
        with open_client(server) as client:
            assert client.upload_one(photos(1)[0]).is_completed

    asyncio.run(main())


def test_from_many_threads(server: FakeServer, photos: Photos) -> None:
    paths = photos(40)
    with open_client(server) as client, ThreadPoolExecutor(10) as pool:
        results = list(pool.map(client.upload_one, paths))
    assert [r.filename for r in results] == [p.name for p in paths]
    assert len({r.image_id for r in results}) == 40


def test_iterators(server: FakeServer, photos: Photos) -> None:
    with open_client(server) as client:
        client.upload(photos(12))
        assert len(list(client.files.list_all(page_size=5))) == 12
        for _ in client.files.list_all(page_size=5):
            break  # left early: closed all the same


def test_errors_arrive_as_they_are(server: FakeServer, photos: Photos) -> None:
    server.fail_names = "img"
    with open_client(server) as client, pytest.raises(DescriptionError):
        client.upload_one(photos(1)[0])
    with (
        SyncAionVision("aion_" + "w" * 24, base_url=server.url) as client,
        pytest.raises(AuthenticationError),
    ):
        client.files.list()


def test_life(server: FakeServer) -> None:
    before = threading.active_count()
    client = open_client(server)
    assert threading.active_count() == before
    with pytest.raises(RuntimeError, match="Not open yet"):
        _ = client.async_client
    with client:
        assert client.async_client.config is client.config
        client.uploads.check_quota()
    assert threading.active_count() == before
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.uploads.check_quota()
    loose = open_client(server)
    loose.uploads.check_quota()  # opens by itself
    loose.close()
    assert threading.active_count() == before
    until(lambda: server.connections == 0)


def test_callbacks(server: FakeServer, photos: Photos, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[int] = []

    async def note(event: AionVision.FileCompleteEvent) -> None:
        seen.append(event.file_index)

    with open_client(server) as client:
        client.upload(photos(5), on_file_complete=note)
        assert sorted(seen) == [0, 1, 2, 3, 4]
        # One that calls the client it belongs to would wait for ever: it is told so instead.
        paths = photos("x.jpg", "y.jpg")

        def ask(_: AionVision.UploadProgressEvent) -> None:
            client.uploads.check_quota()

        client.upload(paths, on_progress=ask)
    assert "A callback cannot call the client" in caplog.text


@pytest.fixture
def listening_to_ctrl_c() -> Iterator[None]:
    """A shell that starts us in the background has told us to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt_once_all_are_there(server: FakeServer, count: int) -> None:
    until(lambda: len(server.images) == count, fleeting=True)
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.usefixtures("listening_to_ctrl_c")
def test_ctrl_c(server: FakeServer, photos: Photos) -> None:
    server.describe_after = 60
    before = threading.active_count()
    with open_client(server) as client:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(interrupt_once_all_are_there, server, 8)
            with pytest.raises(KeyboardInterrupt):
                client.upload(photos(8))
        tasks = client._run(_count_tasks())
        assert tasks == 1
        assert client.uploads.check_quota().can_proceed
    assert threading.active_count() == before
    until(lambda: server.connections == 0)


async def _count_tasks() -> int:
    return len(asyncio.all_tasks())


def test_closed_by_another_thread(server: FakeServer, photos: Photos) -> None:
    """The call that is under way ends; nobody waits for ever."""
    server.describe_after = 60
    client = open_client(server)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(client.upload, photos(5))
        until(lambda: len(server.images) == 5, fleeting=True)
        client.close()
        with pytest.raises((RuntimeError, client.AionvisionError)):
            call.result(PATIENCE)
    until(lambda: server.connections == 0)


def test_what_has_not_begun_at_the_end_is_let_begin() -> None:
    """As anyio starts the attempts to connect: each a task around a coroutine."""
    thread = LoopThread()
    made: list[int] = []
    begun: list[int] = []

    async def attempt(number: int) -> None:
        begun.append(number)

    async def around(coroutine: Coroutine[Any, Any, None]) -> None:
        await coroutine

    async def start_one_after_the_other() -> None:
        tasks = set()
        while True:
            made.append(len(made))
            tasks.add(asyncio.create_task(around(attempt(made[-1]))))
            await asyncio.sleep(0)

    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(thread.run, start_one_after_the_other())
        until(lambda: len(made) > 3, fleeting=True)
        thread.close()
        with pytest.raises(RuntimeError, match="closed"):
            call.result(PATIENCE)
    assert begun == made


def test_an_iterator_outlives_its_client(server: FakeServer, photos: Photos) -> None:
    with open_client(server) as client:
        client.upload(photos(12))
        files = client.files.list_all(page_size=5)
        next(files)
    files.close()  # type: ignore[attr-defined]


def test_forgotten(server: FakeServer) -> None:
    """Not closed at all: the interpreter still ends (the thread is a daemon)."""
    client = open_client(server)
    client.uploads.check_quota()
    assert client._loop is not None
    assert client._loop._thread.daemon
    client.close()
    gc.collect()
