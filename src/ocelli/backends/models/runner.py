"""The process of a model's own: started, watched, and started again when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ocelli.backends.models import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ocelli.backends.models.llama_server import LlamaLaunch
    from ocelli.backends.models.vllm_server import VllmLaunch

log = logging.getLogger(__name__)

MAX_FAILED_STARTS = 3  # in a row, after which it is left for a while
RETRY_FAILED = 60.0  # seconds
LONGEST_PAUSE = 5.0
LAST_LINES = 20
END_TIMEOUT = 2.0  # from the end of its standard input until it is killed


class CannotStart(Exception):
    """The process does not come up; the message says why."""


@dataclass(frozen=True, slots=True)
class Running:
    """A process that answers. ``number`` is new with each start."""

    number: int
    address: str
    pid: int
    start_seconds: float


class Runner:
    """Keeps ``command`` running, which speaks the protocol of llama_server.

    By default it is that of ``launch``. It has a process group of its own, which ends with it.
    """

    def __init__(
        self,
        launch: LlamaLaunch | VllmLaunch,
        on_ready: Callable[[Running], None],
        command: Sequence[str] | None = None,
    ) -> None:
        self.launch = launch
        self._command = command or launch.command
        self.problem: str | None = None
        self._on_ready = on_ready
        self._running: Running | None = None
        self._changed = asyncio.Condition()
        self._starts = 0

    @property
    def running(self) -> Running | None:
        """The process, while it answers."""
        return self._running

    async def ready(self) -> Running:
        """Wait for the process. Raises CannotStart once it failed several times in a row."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._running or self.problem)
        if self._running is None:
            raise CannotStart(self.problem)
        return self._running

    async def has_ended(self, running: Running, within: float) -> bool:
        """Whether that process ends within so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within), self._changed:
                await self._changed.wait_for(lambda: self._running is not running)
        return self._running is not running

    async def keep_running(self) -> None:
        """Run until cancelled; then the process is killed."""
        failed = 0
        while True:
            started = await self._run_once()
            failed = 0 if started else failed + 1
            if failed >= MAX_FAILED_STARTS:
                log.error("the model %s cannot run: %s", self.launch.name, self.problem)
                await asyncio.sleep(RETRY_FAILED)
            elif failed:
                await asyncio.sleep(min(0.2 * 2**failed, LONGEST_PAUSE))

    async def _run_once(self) -> bool:
        """Run the process until it ends; whether it ever answered."""
        began = time.monotonic()
        self._starts += 1
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        said: deque[bytes] = deque(maxlen=LAST_LINES)
        reading = asyncio.ensure_future(_collect(process.stderr, said))
        try:
            process.stdin.write(f"{json.dumps(asdict(self.launch))}\n".encode())
            answer = _answer(await process.stdout.readline())
            if address := answer.get("address"):
                seconds = time.monotonic() - began
                await self._set(Running(self._starts, address, process.pid, seconds), None)
                code = await process.wait()
                log.error("the model %s ended (%s); starting it again", self.launch.name, code)
                metrics.RESTARTS.labels(self.launch.name).inc()
            else:
                await process.wait()
                await reading
                await self._set(None, _why(answer.get("error"), said))
            return bool(address)
        finally:
            await _end(process)
            reading.cancel()
            if self._running is not None:
                await self._set(None, None)

    async def _set(self, running: Running | None, problem: str | None) -> None:
        async with self._changed:
            self._running = running
            self.problem = problem
            self._changed.notify_all()
        metrics.UP.labels(self.launch.name).set(0 if running is None else 1)
        if running is not None:
            self._on_ready(running)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Let the process end, and all of its group: it may have ended already."""
    assert process.stdin is not None
    process.stdin.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(END_TIMEOUT):
            await process.wait()
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def memory_of(pid: int) -> int | None:
    """Return the bytes that a process and those below it hold in memory; None where that cannot
    be read.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        own = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))
    except (OSError, ValueError, IndexError, StopIteration):
        return None
    return own + sum(memory_of(child) or 0 for child in _children(pid))


def _children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(each) for task in tasks for each in (task / "children").read_text().split()]
    except OSError:  # it has ended, or the kernel does not say
        return []


async def _collect(stream: asyncio.StreamReader, lines: deque[bytes]) -> None:
    """Keep the last lines: what llama.cpp says while it works may quote what it was asked."""
    while piece := await stream.read(64 * 1024):
        lines.extend(piece.splitlines())


def _answer(line: bytes) -> dict[str, str]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _why(error: str | None, said: deque[bytes]) -> str:
    """The reason in one line, with what llama.cpp said last of a file that it cannot load."""
    last = next((line for line in said if b"error" in line), b"").decode(errors="replace")
    reason = error or "it ended while it was loaded."
    return f"{reason} {last.rpartition(': ')[2]}".strip() if last else reason
