"""vLLM behind the model's host: ready, dying, silent, and gone with its parents."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.host_client import HostClient
from tests.host_client import hosted as hosted_by
from tests.waiting import eventually

from ocelli.backends.models import runner
from ocelli.backends.models.vllm_server import VllmLaunch


@pytest.fixture
def launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VllmLaunch:
    """Of a program that behaves like vLLM's, with a folder of weights."""
    folder = tmp_path / "eyes"
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_text("{}")
    program = tmp_path / "vllm"
    fake = Path(__file__).parent.parent / "fake_vllm.py"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{fake}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("FAKE_VLLM", str(tmp_path))
    monkeypatch.setenv("OCELLI_DATABASE_URL", "postgresql://of-ours")
    return VllmLaunch("eyes", str(program), str(folder), key="secret", slots=4, context=2048)


class Client(HostClient):
    """Asks a host of vLLM."""

    @property
    def started(self) -> Any:
        return json.loads((self.folder / "started.json").read_text())

    @property
    def socket(self) -> Path:
        return Path(self.started["argv"][self.started["argv"].index("--uds") + 1])

    @property
    def engine(self) -> int:
        return int((self.folder / "engine").read_text())


def hosted(folder: Path, launch: VllmLaunch) -> AbstractAsyncContextManager[Client]:
    return hosted_by(Client, folder, launch)


async def gone(pid: int) -> None:
    async def ended() -> bool:
        try:
            return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return True

    await eventually(ended)


async def test_it_answers_with_its_key_behind_a_socket(tmp_path: Path, launch: VllmLaunch) -> None:
    async with hosted(tmp_path, launch) as client:
        status, answer = await client.send("hello")
        assert status == 200
        assert answer["choices"][0]["message"]["content"] == "a cup"
        started = client.started
        path = client.socket
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert "secret" not in started["argv"]
        assert started["env"]["VLLM_NO_USAGE_STATS"] == started["env"]["HF_HUB_OFFLINE"] == "1"
        assert "OCELLI_DATABASE_URL" not in started["env"]
        engine = client.engine
        vllm = psutil.Process(engine).parent()
        assert vllm is not None
        held = vllm.memory_info().rss + psutil.Process(engine).memory_info().rss
    assert client.measured["tokens_per_second"] > 0
    assert client.measured["slots"] == 4
    assert client.measured["cold_start_seconds"] > 0
    assert client.measured["memory_bytes"] > held, "it is that of all three processes"
    await gone(engine)
    assert not path.parent.exists()


async def test_a_picture_of_which_its_engine_dies_twice_fails_alone(
    tmp_path: Path, launch: VllmLaunch
) -> None:
    async with hosted(tmp_path, launch) as client:
        status, answer = await client.send("deadly", "data:image/jpeg;base64,DEAD")
        assert (status, answer["error"]["code"]) == (415, "model_died")
        assert client.log.count("deadly") == 2
        assert (await client.send("again", "data:image/jpeg;base64,DEAD"))[0] == 415
        assert (await client.send("hello"))[0] == 200
        assert client.log.count("start") == 3


async def test_one_that_dies_at_once_says_why(
    tmp_path: Path, launch: VllmLaunch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "RETRY_FAILED", 0.01)
    (tmp_path / "dies").touch()
    async with hosted(tmp_path, launch) as client:
        status, answer = await client.send("hello")
        assert status == 503
        message = answer["error"]["message"]
        assert message.startswith("vLLM ended (1) before it answered.")
        assert "ValueError: Free memory on device is less than desired" in message
        assert "See root cause above" in message
        (tmp_path / "dies").unlink()

        async def answers() -> bool:
            return (await client.send("hello"))[0] == 200

        await eventually(answers)


async def test_one_that_never_gets_ready_is_given_up(tmp_path: Path, launch: VllmLaunch) -> None:
    (tmp_path / "silent").touch()
    async with hosted(tmp_path, replace(launch, start_timeout=0.3)) as client:
        status, answer = await client.send("hello")
        assert status == 503
        assert "did not answer within 0.3 seconds" in answer["error"]["message"]


async def test_it_ends_with_its_standard_input(tmp_path: Path, launch: VllmLaunch) -> None:
    process = await asyncio.create_subprocess_exec(
        *launch.command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{json.dumps(asdict(launch))}\n".encode())
    path = Path(json.loads(await process.stdout.readline())["address"].removeprefix("unix:"))
    assert path.is_socket()
    engine = int((tmp_path / "engine").read_text())
    process.stdin.close()  # as the kernel does when the host was killed
    await process.wait()
    await gone(engine)
    assert not path.parent.exists()


async def test_nothing_of_it_outlives_the_process_that_watches_it(
    tmp_path: Path, launch: VllmLaunch
) -> None:
    async with hosted(tmp_path, launch) as client:
        assert (await client.send("hello"))[0] == 200
        first = client.engine
        vllm = psutil.Process(first).parent()
        assert vllm is not None
        watcher = vllm.parent()
        assert watcher is not None
        assert "ocelli.backends.models.vllm_server" in watcher.cmdline()
        os.kill(watcher.pid, signal.SIGKILL)
        shutil.rmtree(client.socket.parent)  # what nothing can remove that was killed
        await gone(vllm.pid)
        await gone(first)
        assert (await client.send("hello"))[0] == 200
        assert client.engine != first
