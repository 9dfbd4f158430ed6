"""The server before a model's process: what becomes of requests when that process dies."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from tests.host_client import PICTURE, HostClient
from tests.host_client import hosted as hosted_by
from tests.waiting import eventually

from ocelli.backends.models import runner
from ocelli.backends.models.llama_server import LlamaLaunch
from ocelli.backends.models.turns import Turns

LAUNCH = LlamaLaunch("tiny", "m.gguf", "p.gguf", key="secret", slots=4, threads=1, context=2048)


class Client(HostClient):
    """Asks a host of llama.cpp."""

    async def ask(self, text: str, picture: str = PICTURE) -> int:
        status, _ = await self.send(text, picture)
        return status

    async def asked(self, number: int, text: str) -> None:
        async def seen() -> bool:
            return self.log.count(text) >= number

        await eventually(seen)


def hosted(folder: Path) -> AbstractAsyncContextManager[Client]:
    command = (sys.executable, str(Path(__file__).parent.parent / "fake_llama.py"), str(folder))
    return hosted_by(Client, folder, LAUNCH, command)


async def test_a_picture_that_kills_it_twice_fails_alone(tmp_path: Path) -> None:
    async with hosted(tmp_path) as client:
        waiting = [asyncio.create_task(client.ask("wait")) for _ in range(2)]
        await client.asked(2, "wait")
        deadly = asyncio.create_task(client.ask("deadly", "data:image/jpeg;base64,DEAD"))
        await client.asked(3, "wait")  # again, in the second process
        (tmp_path / "go").touch()
        assert await deadly == 415
        assert await asyncio.gather(*waiting) == [200, 200]
        assert client.log.count("deadly") == 2
        await client.asked(3, "start")  # if the deadly one came last, the third is on its way

        # Asked again, in other words, nothing dies; other pictures go on.
        assert await client.ask("another question", "data:image/jpeg;base64,DEAD") == 415
        assert await client.ask("hello") == 200
        assert client.log.count("start") == 3
    assert client.measured["tokens_per_second"] == 12.5
    assert client.measured["cold_start_seconds"] > 0
    assert client.measured["memory_bytes"] > 1_000_000


async def test_without_its_key_it_answers_no_chat(tmp_path: Path) -> None:
    async with hosted(tmp_path) as client:
        for headers in ({}, {"Authorization": "Bearer other"}):
            for ask in (client.session.get, client.session.post):
                path = "models" if ask == client.session.get else "chat/completions"
                async with ask(f"{client.url}/v1/{path}", headers=headers) as response:
                    assert response.status == 401
        assert await client.ask("hello") == 200
        assert "hello" in client.log


async def test_a_model_that_cannot_be_loaded_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "RETRY_FAILED", 0.01)
    (tmp_path / "broken").touch()
    async with hosted(tmp_path) as client:
        assert await client.ask("hello") == 503
        async with client.session.get(f"{client.url}/health") as response:
            assert response.status == 503
            assert (await response.json())["status"] == "it cannot be loaded. invalid magic"
        (tmp_path / "broken").unlink()

        async def answers() -> bool:
            return await client.ask("hello") == 200

        await eventually(answers)


async def test_it_waits_for_a_process_that_is_started_again(tmp_path: Path) -> None:
    async with hosted(tmp_path) as client:
        assert await client.ask("hello") == 200
        waiting = asyncio.create_task(client.ask("wait"))
        await client.asked(1, "wait")
        (child,) = _children()
        os.kill(child, signal.SIGKILL)
        await client.asked(2, "wait")
        (tmp_path / "go").touch()
        assert await waiting == 200


async def test_a_client_that_leaves_takes_no_turn(tmp_path: Path) -> None:
    async with hosted(tmp_path) as client:
        waiting = [asyncio.create_task(client.ask("wait")) for _ in range(LAUNCH.slots)]
        await client.asked(LAUNCH.slots, "wait")
        for task in waiting:
            task.cancel()
        assert await client.ask("hello") == 200


async def test_one_that_is_alone_waits_for_others_and_others_for_it() -> None:
    turns, order = Turns(2), []
    leave = asyncio.Event()

    async def go(name: str, *, alone: bool = False) -> None:
        async with turns.turn(alone=alone):
            order.append(f"{name} in")
            await leave.wait()
            order.append(f"{name} out")

    first = asyncio.create_task(go("first"))
    await asyncio.sleep(0)
    alone = asyncio.create_task(go("alone", alone=True))
    await asyncio.sleep(0)
    second = asyncio.create_task(go("second"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert order == ["first in"]
    leave.set()
    await asyncio.gather(first, alone, second)
    assert order == ["first in", "first out", "alone in", "alone out", "second in", "second out"]


async def test_one_that_gives_up_to_be_alone_keeps_nothing_waiting() -> None:
    turns = Turns(1)
    async with turns.turn(alone=False):
        giving_up = asyncio.create_task(turns.turn(alone=True).__aenter__())
        await asyncio.sleep(0.01)
        giving_up.cancel()
        await asyncio.wait([giving_up])
    async with turns.turn(alone=False):
        pass


def _children() -> list[int]:
    path = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    return [int(pid) for pid in path.read_text().split() if b"fake_llama" in _command(int(pid))]


def _command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()
