"""The processes of ``ocelli describe``, and which pictures each of them has."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections import deque
from multiprocessing import Pipe
from multiprocessing.connection import wait
from typing import IO, TYPE_CHECKING

from ocelli.cli.describer import DescribedFile
from ocelli.cli.options import to_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ocelli.domain.analysis import VerificationLevel
    from ocelli.settings import Settings

COMMAND = (sys.executable, "-m", "ocelli.cli.child", "describer")
MAX_EARLY_DEATHS = 5  # before anything was described
LOG_TAIL = 2000  # characters
STOP_TIMEOUT = 5.0


class DescribersFailed(RuntimeError):
    """No picture can be described here."""


class _Process:
    """A child process and the pictures that it has."""

    def __init__(
        self,
        settings: Settings,
        level: VerificationLevel,
        tags_from: tuple[Path, str] | None,
        log: IO[bytes],
    ) -> None:
        self.connection, theirs = Pipe()
        self.paths: list[Path] = []
        with theirs:
            self._child = subprocess.Popen(
                [*COMMAND, level, str(theirs.fileno()), *map(str, tags_from or ())],
                env={**os.environ, **to_environment(settings)},
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the command, which ends them
            )

    def begin(self, path: Path) -> None:
        """Send a path."""
        self.paths.append(path)
        with contextlib.suppress(OSError):  # it has just died, which ``result`` tells
            self.connection.send(path)

    def result(self) -> DescribedFile | None:
        """Return the next outcome; None if the process has died. Raises DescribersFailed."""
        try:
            received = self.connection.recv()
        except (EOFError, OSError):
            return None
        if isinstance(received, Exception):
            raise DescribersFailed(str(received))
        assert isinstance(received, DescribedFile)
        self.paths.remove(received.path)
        return received

    def end(self) -> str:
        """End the process; return how it ended, for people."""
        self.connection.close()
        try:
            code = self._child.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._child.kill()
            code = self._child.wait()
        return f"signal {-code}" if code < 0 else f"exit code {code}"


def describe_all(
    settings: Settings,
    files: Sequence[Path],
    level: VerificationLevel,
    tags_from: tuple[Path, str] | None = None,
) -> Iterator[DescribedFile]:
    """Yield outcomes in the order in which they finish, from ``settings.workers`` processes.

    When a process dies, its pictures go to another, each alone; one that dies with it again has
    failed. ``tags_from``: the file of a vocabulary, and its mode. Raises DescribersFailed if no
    picture can be described here.
    """
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(tempfile.TemporaryFile())
        pool = _Pool(settings, level, log, files, tags_from)
        stack.callback(pool.end)
        while pool.has_work:
            yield from pool.results()


class _Pool:
    """Hands out pictures to processes."""

    def __init__(
        self,
        settings: Settings,
        level: VerificationLevel,
        log: IO[bytes],
        files: Sequence[Path],
        tags_from: tuple[Path, str] | None,
    ) -> None:
        self._tags_from = tags_from
        self._settings = settings
        self._level = level
        self._log = log
        self._waiting = deque(files)
        self._suspects: deque[Path] = deque()  # a process died while it had them
        self._suspected: set[Path] = set()
        self._at_once = settings.analyses_at_once or (32 if settings.backends else 2)
        self._deaths = 0
        self._has_answered = False
        self._processes = [self._start() for _ in range(settings.workers)]

    @property
    def has_work(self) -> bool:
        """Whether an outcome is still to come."""
        return bool(self._waiting or self._suspects or any(p.paths for p in self._processes))

    def results(self) -> Iterator[DescribedFile]:
        """Hand out pictures, wait, and yield what has finished."""
        for process in self._processes:
            self._hand_out(process)
        ready = wait([process.connection for process in self._processes])
        for process in [each for each in self._processes if each.connection in ready]:
            result = process.result()
            if result is None:
                yield from self._replace(process)
            else:
                self._has_answered = True
                yield result

    def end(self) -> None:
        """End all processes."""
        for process in self._processes:
            process.connection.close()
        for process in self._processes:
            process.end()

    def _start(self) -> _Process:
        return _Process(self._settings, self._level, self._tags_from, self._log)

    def _hand_out(self, process: _Process) -> None:
        if self._suspected.intersection(process.paths):
            return
        while self._waiting and len(process.paths) < self._at_once:
            process.begin(self._waiting.popleft())
        if self._suspects and not process.paths:
            process.begin(self._suspects.popleft())

    def _replace(self, process: _Process) -> Iterator[DescribedFile]:
        """Start another process for one that has died; yield the failures."""
        ending = process.end()
        self._deaths += 1
        if self._deaths == MAX_EARLY_DEATHS and not self._has_answered:
            self._log.seek(0)
            said = self._log.read().decode(errors="replace")[-LOG_TAIL:]
            raise DescribersFailed(f"each process ends at once ({ending}); what it said:\n{said}")
        self._processes[self._processes.index(process)] = self._start()
        for path in process.paths:
            if path in self._suspected:
                message = f"The process that looked at this picture ended twice ({ending})."
                yield DescribedFile(path, self._level, error=message)
            else:
                self._suspected.add(path)
                self._suspects.append(path)
