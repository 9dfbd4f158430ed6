"""Run native decoders in child processes, with limits of memory and time.

A call names its work, an importable function; the file and the arguments go through a socket to a
child process, and what the work returns comes back. While it works, the child may have so much
memory more than before, and so many seconds; the kernel ends it, also when its parent is gone.
"""

from __future__ import annotations

import atexit
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ocelli.domain.errors import AnalysisFailed, FailureType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

log = logging.getLogger(__name__)

TIMEOUT = 30.0  # seconds for one answer
KILL_MARGIN = 10.0  # seconds after which a child that should have been ended is
MEMORY_MARGIN = 64 * 1024 * 1024  # bytes beyond what was estimated
MAX_IDLE_CHILDREN = 2  # children that are kept for the next call

_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "VIPS_CONCURRENCY": "1",
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_TRIM_THRESHOLD_": str(8 * 1024 * 1024),  # memory goes back after each picture
}
_START = f"import {__name__} as child; child.main()"
_STATM = Path("/proc/self/statm")  # pages; the sixth number is what RLIMIT_DATA bounds
_ITEM, _DONE, _ERROR = "item", "done", "error"
_CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE}


def run(
    work: Callable[..., T], data: bytes, *args: Any, memory: int, seconds: float = TIMEOUT
) -> T:
    """Return ``work(data, *args)`` of a child, within ``memory`` bytes and ``seconds``. Blocking.

    Raises the AnalysisFailed that it raises, and RESOURCE_LIMIT if the child is ended.
    """
    with _child() as child:
        child.send(data, _Call(work, args, memory, seconds))
        result: T = child.answer()[1]
        return result


def iterate(
    work: Callable[..., Iterator[T]],
    data: bytes,
    *args: Any,
    memory: int,
    seconds: float = TIMEOUT,
) -> Iterator[T]:
    """Yield the items of ``work(data, *args)``; each may take ``seconds``."""
    with _child() as child:
        child.send(data, _Call(work, args, memory, seconds))
        while True:
            is_item, value = child.answer()
            if not is_item:
                return
            yield value


@dataclass(frozen=True, slots=True)
class _Call:
    work: Callable[..., Any]
    args: tuple[Any, ...]
    memory: int
    seconds: float


class _Child:
    """One child process. ``is_busy`` from a call to its last answer."""

    def __init__(self) -> None:
        self._connection, child_end = Pipe()
        self._seconds = TIMEOUT
        self.is_busy = False
        with child_end:
            number = child_end.fileno()
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, str(number)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[number],
                process_group=0,  # it ends with its parent, not by what is typed on a terminal
                env={**os.environ, **_ENVIRONMENT},
            )

    def send(self, data: bytes, call: _Call) -> None:
        self.is_busy = True
        self._seconds = call.seconds
        try:
            self._connection.send(call)
            self._connection.send_bytes(data)
        except OSError as error:
            raise self._ended() from error

    def answer(self) -> tuple[bool, Any]:
        """Return whether it is an item of several, and the value. Raises what the work raised."""
        try:
            if not self._connection.poll(self._seconds + KILL_MARGIN):
                raise _timed_out(self._seconds)
            kind, value = self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._ended() from error
        self.is_busy = kind == _ITEM
        if kind == _ERROR:
            raise value
        return self.is_busy, value

    def end(self) -> None:
        self._connection.close()
        self._process.kill()
        self._process.wait()

    def _ended(self) -> AnalysisFailed:
        code = self._process.wait()
        if code == -signal.SIGALRM:
            return _timed_out(self._seconds)
        return AnalysisFailed(
            FailureType.RESOURCE_LIMIT,
            "The decoder ended before it was done with this file.",
            retryable=-code not in _CRASHES,
        )


_idle: list[_Child] = []
_lock = threading.Lock()


@contextmanager
def _child() -> Iterator[_Child]:
    """Give an idle child, or a new one; end it afterwards if it is still busy."""
    with _lock:
        child = _idle.pop() if _idle else None
    child = child or _Child()
    try:
        yield child
    finally:
        with _lock:
            keep = not child.is_busy and len(_idle) < MAX_IDLE_CHILDREN
            if keep:
                _idle.append(child)
        if not keep:
            child.end()


@atexit.register
def _end_all() -> None:
    while _idle:
        _idle.pop().end()


def _timed_out(seconds: float) -> AnalysisFailed:
    return AnalysisFailed(
        FailureType.RESOURCE_LIMIT,
        f"Decoding this file takes longer than {seconds:g} seconds.",
        retryable=False,
    )


# ── in the child ───────────────────────────────────────────────────────────────────────────────


def main() -> None:
    """Answer calls until the parent ends, in the child."""
    import cv2  # noqa: F401 - before there is a limit
    import numpy as np  # noqa: F401

    from ocelli.media._vips import vips

    vips()
    connection = Connection(int(sys.argv[1]))
    with suppress(EOFError, OSError):
        while True:
            call, data = connection.recv(), connection.recv_bytes()
            connection.send(_answer(connection, call, data))


def _answer(connection: Connection, call: _Call, data: bytes) -> tuple[str, Any]:
    with _memory_limit(call.memory):
        try:
            signal.setitimer(signal.ITIMER_REAL, call.seconds)
            result = call.work(data, *call.args)
            if isinstance(result, Generator):
                for item in result:
                    connection.send((_ITEM, item))
                    signal.setitimer(signal.ITIMER_REAL, call.seconds)
                return _DONE, None
            return _DONE, result
        except AnalysisFailed as error:
            return _ERROR, error
        except Exception:
            log.exception("%s failed", call.work.__qualname__)
            return _ERROR, AnalysisFailed(
                FailureType.UNKNOWN, "The decoder failed unexpectedly.", retryable=True
            )
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


@contextmanager
def _memory_limit(memory: int) -> Iterator[None]:
    """Limit the memory to ``memory`` bytes more than now, where the kernel counts it."""
    limits = resource.getrlimit(resource.RLIMIT_DATA)
    if _STATM.exists():
        used = int(_STATM.read_text().split()[5]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_DATA, (used + memory + MEMORY_MARGIN, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, limits)
