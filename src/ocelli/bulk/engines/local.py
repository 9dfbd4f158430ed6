"""Worker processes of this machine, as children of the command."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from multiprocessing import Pipe
from multiprocessing.connection import wait
from typing import IO, TYPE_CHECKING, Any

from ocelli.bulk.hand_out import HandOut
from ocelli.bulk.rows import Row
from ocelli.bulk.run import EngineFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection

    from ocelli.bulk.feed import Feed
    from ocelli.bulk.plan import WorkerPlan
    from ocelli.bulk.tasks import Task

TICK = 1.0  # seconds
STOP_TIMEOUT = 5.0
MAX_EARLY_DEATHS = 5  # before anything was described
LOG_TAIL = 2000  # characters


class LocalEngine:
    """See run.Engine. A process for each of ``plans``, started by ``command`` and the number of a
    descriptor, at the other end of which is ``ocelli.bulk.child``.
    """

    def __init__(self, plans: Sequence[WorkerPlan], command: Sequence[str]) -> None:
        self._plans = plans
        self._command = command

    def run(self, feed: Feed, claim: Callable[[Task, str], bool]) -> Iterator[Row | None]:
        """See run.Engine."""
        first = feed.take()
        if first is None:  # else loading the models would be for nothing
            return
        with tempfile.TemporaryFile() as log:
            processes = [_Process(plan, self._command, log) for plan in self._plans]
            hand_out = HandOut(feed, self._plans[0].at_once)
            hand_out.again([first])
            try:
                yield from _rows(processes, hand_out, claim)
            finally:
                for process in processes:
                    process.connection.close()
                for process in processes:
                    process.end()


def _rows(
    processes: list[_Process], hand_out: HandOut, claim: Callable[[Task, str], bool]
) -> Iterator[Row | None]:
    deaths, answered = 0, False
    while True:
        for process in processes:
            while (task := hand_out.for_process(process.held)) is not None:
                process.begin(task)
        if hand_out.is_empty and not any(process.held for process in processes):
            return
        ready = wait([process.connection for process in processes], TICK)
        if not ready:
            yield None
        for process in [each for each in processes if each.connection in ready]:
            received = process.receive(claim)
            if received is _DIED:
                ending = process.end()
                deaths += 1
                if deaths == MAX_EARLY_DEATHS and not answered:
                    raise EngineFailed(
                        f"each process ends at once ({ending}); what it said:\n{process.said()}"
                    )
                processes[processes.index(process)] = process.another()
                yield from hand_out.died(process.held.values(), ending)
            elif isinstance(received, Row):
                answered = True
                yield received


_DIED = object()


class _Process:
    """A process, and the tasks that it holds. What it says for people goes to ``log``."""

    def __init__(self, plan: WorkerPlan, command: Sequence[str], log: IO[bytes]) -> None:
        self.held: dict[int, Task] = {}
        self.connection: Connection[Any, Any]
        self.connection, theirs = Pipe()
        self._plan, self._command, self._log = plan, command, log
        with theirs:
            self._child = subprocess.Popen(
                [*command, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the command, which ends them
            )
        self._send(plan)

    def another(self) -> _Process:
        """Start one like it."""
        return _Process(self._plan, self._command, self._log)

    def begin(self, task: Task) -> None:
        """Send a task."""
        self.held[task.id] = task
        self._send(task)

    def receive(self, claim: Callable[[Task, str], bool]) -> object:
        """Return the next row; None for a question, which is answered. Raises EngineFailed."""
        try:
            received = self.connection.recv()
        except (EOFError, OSError):
            return _DIED
        if isinstance(received, Exception):
            raise EngineFailed(str(received))
        if isinstance(received, Row):
            self.held.pop(received.task, None)
            return received
        id, key = received
        self._send((id, claim(self.held[id], key)))
        return None

    def end(self) -> str:
        """End the process, if that has not happened; return how it ended, for people."""
        self.connection.close()
        try:
            code = self._child.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._child.kill()
            code = self._child.wait()
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def said(self) -> str:
        """Return the end of what the processes said."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-LOG_TAIL:]

    def _send(self, message: Any) -> None:
        with contextlib.suppress(OSError):  # it has just died, which the next answer tells
            self.connection.send(message)
