"""Native decoders see files of strangers in a process of their own, that is killed if need be.

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

DEADLINE = 30.0  # seconds for one answer
GRACE = 10.0  # seconds after which a child that should have been ended is
MARGIN = 64 * 1024 * 1024  # bytes beyond what was estimated
IDLE = 2  # children that are kept for the next call

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
    work: Callable[..., T], data: bytes, *args: Any, memory: int, seconds: float = DEADLINE
) -> T:
    """``work(data, *args)`` in a child, within so many bytes and seconds. Blocking.

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
    seconds: float = DEADLINE,
) -> Iterator[T]:
    """What ``work(data, *args)`` yields, one after the other; each may take so many seconds."""
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
    """One process. ``is_busy`` from a call to its last answer; it is not left like that."""

    def __init__(self) -> None:
        self._connection, theirs = Pipe()
        self._seconds = DEADLINE
        self.is_busy = False
        with theirs:
            number = theirs.fileno()
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
        """Whether it is one of several, and what came. Raises what the work raised."""
        try:
            if not self._connection.poll(self._seconds + GRACE):
                raise _too_long(self._seconds)
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
            return _too_long(self._seconds)
        return AnalysisFailed(
            FailureType.RESOURCE_LIMIT,
            "The decoder ended before it was done with this file.",
            retryable=-code not in _CRASHES,
        )


_idle: list[_Child] = []
_changing = threading.Lock()


@contextmanager
def _child() -> Iterator[_Child]:
    """One that waits, or a new one."""
    with _changing:
        child = _idle.pop() if _idle else None
    child = child or _Child()
    try:
        yield child
    finally:
        with _changing:
            keep = not child.is_busy and len(_idle) < IDLE
            if keep:
                _idle.append(child)
        if not keep:
            child.end()


@atexit.register
def _end_all() -> None:
    while _idle:
        _idle.pop().end()


def _too_long(seconds: float) -> AnalysisFailed:
    return AnalysisFailed(
        FailureType.RESOURCE_LIMIT,
        f"Decoding this file takes longer than {seconds:g} seconds.",
        retryable=False,
    )


# ── in the child ───────────────────────────────────────────────────────────────────────────────


def main() -> None:
    """Answer calls until the parent is gone."""
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
    with _within(call.memory):
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
def _within(memory: int) -> Iterator[None]:
    """Room for so many bytes more than now, where the kernel counts them."""
    limits = resource.getrlimit(resource.RLIMIT_DATA)
    if _STATM.exists():
        used = int(_STATM.read_text().split()[5]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_DATA, (used + memory + MARGIN, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, limits)
