"""Work in a process of its own: the same answers, and nothing lost when it dies."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from ocelli.domain.errors import Unavailable, ValidationFailed
from ocelli.media.header import load, read_header
from ocelli.storage.aside import Aside
from ocelli.storage.objects_local import CROWD, LocalObjects
from ocelli.usecases.buffers import SHARED, Buffer
from ocelli.usecases.staging import StagedFile


def where(*_: object) -> tuple[int, int]:
    return os.getpid(), threading.get_ident()


def speak(text: str) -> int:
    """On standard error, past Python."""
    return os.write(2, text.encode())


def die_once(mark: Path) -> int:
    """In the child the first time; then wherever it is run again."""
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def cannot_begin() -> None:
    raise ImportError("not here")


async def begun(aside: Aside) -> Aside:
    async with asyncio.timeout(20):
        while (await aside(where))[0] == os.getpid():
            aside.start()
            await asyncio.sleep(0.01)
    return aside


async def test_until_it_is_there_a_thread_does_it() -> None:
    process, thread = await Aside(prepare=load)(where)
    assert process == os.getpid()
    assert thread != threading.get_ident()


async def test_then_one_child_does_it() -> None:
    aside = await begun(Aside(prepare=load))
    found = await asyncio.gather(*(aside(where, number) for number in range(20)))
    assert len({process for process, _ in found}) == 1
    assert found[0][0] != os.getpid()


async def test_what_libraries_say_does_not_fill_a_pipe() -> None:
    aside = await begun(Aside(prepare=load))
    async with asyncio.timeout(10):
        for _ in range(5):
            assert await aside(speak, "x" * 100_000) == 100_000


async def test_an_interrupt_that_is_not_for_it() -> None:
    aside = await begun(Aside(prepare=load))
    process, _ = await aside(where)
    os.kill(process, signal.SIGINT)
    await asyncio.sleep(0.1)
    assert await aside(where) == (process, (await aside(where))[1])
    assert await aside(len, "four") == 4


async def test_if_it_dies_a_thread_does_it_again_and_another_one_begins(tmp_path: Path) -> None:
    aside = await begun(Aside(prepare=load))
    first, _ = await aside(where)
    assert await aside(die_once, tmp_path / "mark") == os.getpid()
    again, _ = await (await begun(aside))(where)
    assert again not in (first, os.getpid())


async def test_who_takes_too_long_is_killed() -> None:
    aside = await begun(Aside(prepare=load, patience=5.0))
    process, _ = await aside(where)
    aside._patience = 0.2
    with pytest.raises(Unavailable):
        await aside(time.sleep, 30)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    assert (await aside(where))[0] == os.getpid()


async def test_no_new_one_can_be_had(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    aside = await begun(Aside(prepare=load))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    assert await aside(die_once, tmp_path / "mark") == os.getpid()
    aside.start()
    assert aside._starting is not None
    await aside._starting
    assert (await aside(where))[0] == os.getpid()


async def test_where_there_can_be_none_we_go_on_without() -> None:
    aside = Aside(prepare=cannot_begin)
    aside.start()
    assert aside._starting is not None
    await aside._starting
    assert (await aside(where))[0] == os.getpid()


def die_at(folder: Path, content: memoryview) -> int:
    """A check that kills the first process that makes it, in the middle of a group."""
    if bytes(content[:3]) == b"bad":
        die_once(folder / "mark")
    return len(content)


async def taken(store: LocalObjects, key: str, content: bytes, check: object) -> object:
    with StagedFile(store.staging, max_bytes=1_000_000) as staged:
        staged.write(content)
        small = staged.release()
        assert small is not None
        return await store.take(key, small, check)  # type: ignore[arg-type]


async def test_a_crowd_of_files(tmp_path: Path) -> None:
    """In the child: the good ones are there whole, and nothing is left of the bad ones."""
    aside = Aside(prepare=load)
    store = LocalObjects(tmp_path / "objects", b"s", aside=aside)
    contents = [os.urandom(1 + 4099 * number) for number in range(CROWD)]
    await asyncio.gather(*(taken(store, f"a/0{n}/x", c, len) for n, c in enumerate(contents)))
    await begun(aside)
    results = await asyncio.gather(
        *(taken(store, f"a/{n}/x", content, len) for n, content in enumerate(contents)),
        taken(store, "a/bad/x", b"no picture", partial(read_header, max_pixels=1000)),
        return_exceptions=True,
    )
    assert results[:CROWD] == [len(content) for content in contents]
    assert isinstance(results[-1], ValidationFailed)
    for number, content in enumerate(contents):
        assert await store.read(f"a/{number}/x") == content
    assert await store.size("a/bad/x") is None
    assert list(store.staging.iterdir()) == []


async def test_a_file_that_kills_the_child(tmp_path: Path) -> None:
    """All of its group are stored, with the bytes that came."""
    store = LocalObjects(tmp_path / "objects", b"s", aside=await begun(Aside(prepare=load)))
    contents = {f"a/{n}/x": b"good" + os.urandom(5000 * n) for n in range(6)}
    contents["a/7/x"] = b"bad" + os.urandom(12_345)
    check = partial(die_at, tmp_path)
    found = await asyncio.gather(*(taken(store, key, c, check) for key, c in contents.items()))
    assert (tmp_path / "mark").exists()
    assert found == [len(content) for content in contents.values()]
    for key, content in contents.items():
        assert await store.read(key) == content


async def test_memory_is_not_used_again_while_it_is_read(tmp_path: Path) -> None:
    """A client that goes away in the middle leaves its bytes to whoever is storing them."""
    store = LocalObjects(tmp_path / "objects", b"s")
    held, go_on = threading.Event(), threading.Event()

    def slow(content: memoryview) -> int:
        held.set()
        go_on.wait(10)
        return len(content)

    first = asyncio.create_task(taken(store, "a/1/x", b"mine" * 1000, slow))
    await asyncio.to_thread(held.wait, 10)
    first.cancel()
    await asyncio.wait([first])
    with StagedFile(store.staging, max_bytes=1_000_000) as other:
        other.write(b"yours" * 1000)
        go_on.set()
        async with asyncio.timeout(10):
            while await store.size("a/1/x") is None:
                await asyncio.sleep(0.01)
        assert await store.read("a/1/x") == b"mine" * 1000


async def test_whatever_goes_wrong_memory_comes_back(tmp_path: Path) -> None:
    store = LocalObjects(tmp_path / "objects", b"s", aside=await begun(Aside(prepare=load)))

    def free() -> int:
        buffers = [Buffer() for _ in range(SHARED)]
        shared = sum(each.shared_as is not None for each in buffers)
        for each in buffers:
            each.give_back()
            each.give_back()  # once is enough
        return shared

    before = free()
    for _ in range(3):
        results = await asyncio.gather(
            taken(store, f"b/{os.urandom(4).hex()}/x", b"good", len),
            taken(store, f"b/{os.urandom(4).hex()}/x", b"bad", stumble),
            taken(store, f"b/{os.urandom(4).hex()}/x", b"good", not_to_be_pickled),
            return_exceptions=True,
        )
        assert isinstance(results[1], Exception)
    assert free() == before


def stumble(content: memoryview) -> int:
    return len(content) // 0


def not_to_be_pickled(content: memoryview) -> object:
    return content


async def test_a_disk_that_is_not_mounted(tmp_path: Path) -> None:
    """What is below is not written to, and the client hears that it may come again."""
    folder = tmp_path / "mount"
    store = LocalObjects(folder, b"s")
    folder.rename(tmp_path / "elsewhere")
    folder.mkdir()
    for number in range(3):
        with pytest.raises(Unavailable):
            await taken(store, f"uploads/t/{number}/x", b"content", len)
    assert list(folder.iterdir()) == []
    (tmp_path / "elsewhere" / "x").touch()
    folder.rmdir()
    (tmp_path / "elsewhere").rename(folder)
    assert await taken(store, "uploads/t/1/x", b"content", len) == 7
