"""The programs under measurement, as processes of their own, and what they use."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import psutil  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

ORPHAN_SECONDS = 10.0
PR_SET_CHILD_SUBREAPER = 36  # of linux/prctl.h
# As ocelli.cli.child sets them: one core per process.
ONE_CORE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "VIPS_CONCURRENCY": "1"}


def python(module: str, *arguments: str) -> list[str]:
    """The command line of one of our modules."""
    return [sys.executable, "-m", module, *arguments]


@dataclass(frozen=True)
class Server:
    """A process that answers HTTP on ``port``."""

    process: subprocess.Popen[str]
    port: int
    key: str = ""

    def child(self, role: str) -> psutil.Process:
        """Its first child that was started as ``ocelli.cli.child ROLE``."""
        for each in psutil.Process(self.process.pid).children():
            if role in each.cmdline():
                return each
        raise LookupError(role)

    @contextlib.contextmanager
    def workers_suspended(self) -> Iterator[None]:
        """Take the workers off the machine; the supervisor sees them alive."""
        workers = [
            each
            for each in psutil.Process(self.process.pid).children()
            if each.cmdline()[-1] == "worker"
        ]
        for worker in workers:
            worker.suspend()
        try:
            yield
        finally:
            for worker in workers:
                worker.resume()


@contextlib.contextmanager
def ocelli_serve(data: Path, *options: str, **environment: str) -> Iterator[Server]:
    """``ocelli serve`` on a free port, with a folder of its own."""
    command = python("ocelli", "serve", "--data", str(data), "--port", "0", *options)
    with _started(command, data.with_suffix(".log"), environment) as (process, port):
        yield Server(process, port, (data / "api_key").read_text().strip())


def children_cpu() -> float:
    """CPU seconds of all processes that were started and have ended, with theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def adopt_orphans() -> None:
    """Become the parent of processes that outlive theirs, as Ray's workers do: their CPU seconds
    are then counted too. On Linux; elsewhere they are lost.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def wait_for_orphans(mine: Iterable[int]) -> None:
    """Wait until all children but ``mine`` have ended; those that do not are killed."""
    orphans = [each for each in psutil.Process().children() if each.pid not in mine]
    for each in psutil.wait_procs(orphans, ORPHAN_SECONDS)[1]:
        each.kill()
        each.wait()


def new_key(data: Path, tenant: str) -> str:
    """A key of another tenant of a running server."""
    command = python("ocelli", "keys", "create", "--data", str(data), "--tenant", tenant)
    done = subprocess.run(
        [*command, "--tier", "enterprise"], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@contextlib.contextmanager
def program(command: Sequence[str], log: Path) -> Iterator[Server]:
    """Anything that says ``ready http://127.0.0.1:PORT``."""
    with _started(command, log.with_suffix(".log")) as (process, port):
        yield Server(process, port)


@contextlib.contextmanager
def silent_program(
    command: Sequence[str], log: Path, port: int, wait: float, **environment: str
) -> Iterator[Server]:
    """Anything that listens on ``port`` at last. RuntimeError if it does not."""
    until = time.monotonic() + wait
    with (
        log.with_suffix(".log").open("a") as output,
        subprocess.Popen(
            command, stdout=output, stderr=output, text=True, env={**os.environ, **environment}
        ) as process,
    ):
        try:
            while process.poll() is None and time.monotonic() < until:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.2)
            else:
                raise RuntimeError(f"it does not listen: {log.with_suffix('.log')}")
            yield Server(process, port)
        finally:
            process.terminate()


@contextlib.contextmanager
def bare_server(folder: Path) -> Iterator[Server]:
    """``benchmarks.bare_server``: the same uvicorn without Ocelli."""
    folder.mkdir(parents=True, exist_ok=True)
    command = python("benchmarks.bare_server", str(folder))
    with _started(command, folder.with_suffix(".log"), {}) as (process, port):
        yield Server(process, port)


@contextlib.contextmanager
def _started(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    with (
        log.open("a") as errors,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, **(environment or {})},
        ) as process,
    ):
        try:
            yield process, _port(process, log)
        finally:
            process.terminate()


def _port(process: subprocess.Popen[str], log: Path) -> int:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("ready "):
            return int(line.rsplit(":", 1)[1])
    raise RuntimeError(f"the server ended: {log.read_text()[-2000:]}")


class Foreign:
    """How much of the machine goes to programs that are none of ours: much of it spoils a run."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._before = self._seconds()

    def share(self) -> float:
        """Of all cores, since the start; our own processes must have ended."""
        elapsed = (time.monotonic() - self._started) * (os.cpu_count() or 1)
        return max(0.0, self._seconds() - self._before) / elapsed

    def _seconds(self) -> float:
        machine = psutil.cpu_times()
        busy = machine.user + machine.nice + machine.system
        return float(busy) - time.process_time() - children_cpu()


class Watch:
    """Samples in a thread: CPU seconds by role over a tree of processes, or one process's RSS."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def sample(self) -> None:
        """One look; the process may be gone already."""
        raise NotImplementedError

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                self.sample()


class MemoryPeak(Watch):
    """The largest resident set of one process, in MB."""

    def __init__(self, process: psutil.Process) -> None:
        super().__init__(0.01)
        self._process = process
        self.before = self.peak = _resident(process)

    def sample(self) -> None:
        """See Watch."""
        self.peak = max(self.peak, _resident(self._process))


class CpuByRole(Watch):
    """CPU seconds of ``ocelli describe``: its workers, Postgres, and the command itself."""

    def __init__(self, root: int) -> None:
        super().__init__(0.25)
        self._root = psutil.Process(root)
        self._seconds: dict[int, tuple[str, float]] = {}

    def sample(self) -> None:
        """See Watch."""
        for process in (self._root, *self._root.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                role = self._role(process)
                self._seconds[process.pid] = role, times.user + times.system

    def totals(self) -> dict[str, float]:
        """Seconds by role."""
        totals: dict[str, float] = {}
        for role, seconds in self._seconds.values():
            totals[role] = totals.get(role, 0.0) + seconds
        return totals

    def _role(self, process: psutil.Process) -> str:
        if process.pid in self._seconds:
            return self._seconds[process.pid][0]
        if process.pid == self._root.pid:
            return "command"
        return "workers" if "ocelli.cli.child" in process.cmdline() else "postgres"


def one_core_environment() -> dict[str, str]:
    """Our environment, with native libraries held to one thread."""
    return {**os.environ, **ONE_CORE}


def _resident(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 1e6
