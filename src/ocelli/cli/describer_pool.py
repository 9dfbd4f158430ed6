"""The processes of ``ocelli describe``, and which pictures each of them has."""

from __future__ import annotations

from collections import deque
from contextlib import closing
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from ocelli.cli.describer import DescribedFile
from ocelli.cli.describer_process import DescriberProcess
from ocelli.cli.options import to_environment
from ocelli.wiring.backends import local_runtime

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ocelli.domain.analysis import VerificationLevel
    from ocelli.settings import Settings

MAX_EARLY_DEATHS = 5  # before anything was described
LOG_TAIL = 2000  # characters
PAUSE = 0.2  # seconds until it is asked again whether there are more pictures


class DescribersFailed(RuntimeError):
    """No picture can be described here."""


def describe_all(
    settings: Settings,
    files: Iterable[Path | None],
    level: VerificationLevel,
    tags_from: tuple[Path, str] | None = None,
    first: DescriberProcess | None = None,
) -> Iterator[DescribedFile]:
    """Yield outcomes in the order in which they finish, from ``settings.workers`` processes.

    ``files`` are taken as processes can begin with them; None among them says that there is none
    at the moment, and that more may come.

    When a process dies, its pictures go to another, each alone; one that dies with it again has
    failed. ``tags_from``: the file of a vocabulary, and its mode. ``first`` has been started
    already, and is ended here. Raises DescribersFailed if no picture can be described here.
    """
    first = first or DescriberProcess()
    with first.log, closing(_Pool(settings, level, files, tags_from, first)) as pool:
        while pool.has_work:
            yield from pool.results()


class _Pool:
    """Hands out pictures to processes."""

    def __init__(
        self,
        settings: Settings,
        level: VerificationLevel,
        files: Iterable[Path | None],
        tags_from: tuple[Path, str] | None,
        first: DescriberProcess,
    ) -> None:
        self._tags_from = tags_from
        self._runtime = local_runtime(settings)
        self._environment = to_environment(settings)
        self._level = level
        self._log = first.log
        self._files = iter(files)
        self._next: Path | None = None
        self._is_exhausted = False
        self._suspects: deque[Path] = deque()  # a process died while it had them
        self._suspected: set[Path] = set()
        self._at_once = settings.analyses_at_once or (32 if settings.backends else 2)
        self._deaths = 0
        self._has_answered = False
        others = [DescriberProcess(self._log) for _ in range(settings.workers - 1)]
        self._processes = [self._configured(each) for each in (first, *others)]

    @property
    def has_work(self) -> bool:
        """Whether an outcome is still to come."""
        if self._suspects or any(p.paths for p in self._processes):
            return True
        return self._peek() is not None or not self._is_exhausted

    def results(self) -> Iterator[DescribedFile]:
        """Hand out pictures, wait, and yield what has finished."""
        for process in self._processes:
            self._hand_out(process)
        pause = None if self._is_exhausted or self._next is not None else PAUSE
        ready = wait([process.connection for process in self._processes], pause)
        for process in [each for each in self._processes if each.connection in ready]:
            result = _result(process)
            if result is None:
                yield from self._replace(process)
            else:
                self._has_answered = True
                yield result

    def close(self) -> None:
        """End all processes."""
        for process in self._processes:
            process.connection.close()
        for process in self._processes:
            process.end()

    def _configured(self, process: DescriberProcess) -> DescriberProcess:
        process.configure(self._runtime, self._environment, self._level, self._tags_from)
        return process

    def _hand_out(self, process: DescriberProcess) -> None:
        if self._suspected.intersection(process.paths):
            return
        while len(process.paths) < self._at_once and (path := self._peek()) is not None:
            self._next = None
            process.begin(path)
        if self._suspects and not process.paths:
            process.begin(self._suspects.popleft())

    def _peek(self) -> Path | None:
        """Return the next picture; None if there is none, or none yet."""
        if self._next is None and not self._is_exhausted:
            try:
                self._next = next(self._files)
            except StopIteration:
                self._is_exhausted = True
        return self._next

    def _replace(self, process: DescriberProcess) -> Iterator[DescribedFile]:
        """Start another process for one that has died; yield the failures."""
        ending = process.end()
        self._deaths += 1
        if self._deaths == MAX_EARLY_DEATHS and not self._has_answered:
            self._log.seek(0)
            said = self._log.read().decode(errors="replace")[-LOG_TAIL:]
            raise DescribersFailed(f"each process ends at once ({ending}); what it said:\n{said}")
        another = self._configured(DescriberProcess(self._log))
        self._processes[self._processes.index(process)] = another
        for path in process.paths:
            if path in self._suspected:
                message = f"The process that looked at this picture ended twice ({ending})."
                yield DescribedFile(path, self._level, error=message)
            else:
                self._suspected.add(path)
                self._suspects.append(path)


def _result(process: DescriberProcess) -> DescribedFile | None:
    """Return the next outcome; None if the process has died. Raises DescribersFailed."""
    try:
        received = process.connection.recv()
    except (EOFError, OSError):
        return None
    if isinstance(received, Exception):
        raise DescribersFailed(str(received))
    assert isinstance(received, DescribedFile)
    process.paths.remove(received.path)
    return received
