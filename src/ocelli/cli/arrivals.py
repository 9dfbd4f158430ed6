"""Pictures that arrive in a folder, each once it is whole."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import watchfiles

from ocelli.xmp.errors import XmpError, reason
from ocelli.xmp.files import OUTSIDE, FileState, FolderNames, leads_into, pictures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SETTLED = 2.0  # seconds for which size and time of a file have to stand still
IDLE = 60.0  # seconds without a picture after which what describes may end
LOOK_AGAIN = 3600.0  # seconds until the whole folder is looked at: a system may drop events
_DELETED = watchfiles.Change.deleted
_EVENTS_AT_ONCE = 200  # milliseconds


class CannotWatch(Exception):
    """The system does not tell of changes in the folder."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A file as it was last seen, and when it is looked at again."""

    path: Path
    file: FileState
    due: float


class Arrivals:
    """The pictures of a folder, those that are there and those that come.

    ``tell`` hears of what cannot be read. Use it as a context manager. Raises CannotWatch.
    """

    def __init__(
        self,
        folder: Path,
        is_picture: Callable[[str], bool],
        tell: Callable[[Path, str], None],
        *,
        poll: bool = False,
        settled: float = SETTLED,
    ) -> None:
        self._folder = folder.resolve()
        self._is_picture = is_picture
        self._tell = tell
        self._poll = poll
        self._settled = settled
        self._waiting: deque[_Candidate] = deque()  # in the order in which they are due
        self._known: set[Path] = set()  # what is waiting
        self._scans: deque[Iterator[tuple[Path, FolderNames]]] = deque()
        self._look_again_at = 0.0
        self._changed: set[Path] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._is_ready = threading.Event()
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._names: tuple[tuple[Path, int], FolderNames] | None = None
        self._thread = threading.Thread(target=self._listen, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._is_ready.wait()  # what comes from now on is heard of: now the folder is looked at
        self._check()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def whole(
        self, is_busy: Callable[[Path], bool] = lambda _: False, *, idle: float = IDLE
    ) -> Iterator[tuple[Path, FolderNames] | None]:
        """Wait for the first picture; yield all that are whole, and None while there is none.

        Ends when none came for ``idle`` seconds; call it again then. Pictures that are being
        described ``is_busy`` holds back.
        """
        last = 0.0
        while True:
            found = self._next(is_busy)
            if found is not None:
                yield found
                last = time.monotonic()
            elif self._scans:
                continue
            elif not last:
                self._wake.wait(self._pause())
            elif not self._waiting and time.monotonic() - last > idle:
                return
            else:
                yield None

    def again(self, paths: list[Path]) -> None:
        """Look at these again."""
        with self._lock:
            self._changed.update(paths)
        self._wake.set()

    def _next(self, is_busy: Callable[[Path], bool]) -> tuple[Path, FolderNames] | None:
        """Return a whole picture; None if none is known, or at the end of each step of a scan."""
        self._check()
        self._take_changes()
        now = time.monotonic()
        if self._waiting and self._waiting[0].due <= now:
            return self._settle(self._waiting.popleft(), is_busy)
        if now >= self._look_again_at and not self._scans:
            self._look_again_at = now + LOOK_AGAIN
            self._scan(self._folder)
        if self._scans:
            try:
                path, names = next(self._scans[0])
            except StopIteration:
                self._scans.popleft()
                return None
            return self._old_or_waiting(path, names)
        return None

    def _scan(self, folder: Path) -> None:
        self._scans.append(pictures(folder, self._is_picture, self._tell))

    def _old_or_waiting(self, path: Path, names: FolderNames) -> tuple[Path, FolderNames] | None:
        """Return a picture that has been lying there; another one waits."""
        file = self._look(path)
        if file is None or path in self._known:
            return None
        age = time.time() - file.modified / 1e9
        if age > 2 * self._settled:
            return path, names
        self._wait(path, file)
        return None

    def _settle(
        self, candidate: _Candidate, is_busy: Callable[[Path], bool]
    ) -> tuple[Path, FolderNames] | None:
        path = candidate.path
        file = self._look(path)
        if file is None:
            self._known.discard(path)
        elif file != candidate.file or is_busy(path):
            self._wait(path, file)
        else:
            self._known.discard(path)
            try:
                return path, self._names_beside(path)
            except XmpError as error:
                self._tell(path, str(error))
        return None

    def _wait(self, path: Path, file: FileState) -> None:
        self._known.add(path)
        self._waiting.append(_Candidate(path, file, time.monotonic() + self._settled))

    def _look(self, path: Path) -> FileState | None:
        """Return a file; None if it is gone, or empty: its first byte will be heard of."""
        try:
            file = FileState.of(path)
            return file if file and file.size else None
        except XmpError as error:
            self._tell(path, str(error))
            return None

    def _names_beside(self, path: Path) -> FolderNames:
        """Return the names in the folder of a picture, read again only if it has changed."""
        folder = FileState.of(path.parent)
        key = path.parent, folder.modified if folder else 0
        if self._names is None or self._names[0] != key:
            self._names = key, FolderNames.of(path.parent)
        return self._names[1]

    def _pause(self) -> float:
        """Return the seconds until something is due."""
        due = min(self._look_again_at, self._waiting[0].due if self._waiting else float("inf"))
        return max(0.0, due - time.monotonic())

    # What the system tells

    def _take_changes(self) -> None:
        with self._lock:
            changed, self._changed = self._changed, set()
            self._wake.clear()
        for path in sorted(changed):
            try:
                self._take(path)
            except OSError as error:  # of a folder that may not be read any more
                self._tell(path, reason(error))

    def _take(self, path: Path) -> None:
        if any(part.startswith(".") for part in path.relative_to(self._folder).parts):
            return
        if path.is_dir() and not path.is_symlink():  # moved here, with all that is in it
            self._scan(path)
            return
        if not self._is_picture(path.name) or path in self._known or not path.is_file():
            return
        if not leads_into(path, self._folder):
            self._tell(path, OUTSIDE)
        elif (file := self._look(path)) is not None:
            self._wait(path, file)

    def _check(self) -> None:
        if self._error is not None:
            raise CannotWatch(str(self._error)) from self._error

    def _listen(self) -> None:
        """Collect what has changed. Runs in a thread of its own."""
        try:
            for changes in watchfiles.watch(
                self._folder,
                watch_filter=None,
                stop_event=self._stop,
                rust_timeout=_EVENTS_AT_ONCE,
                debounce=_EVENTS_AT_ONCE,
                yield_on_timeout=True,
                raise_interrupt=False,
                force_polling=self._poll or None,
                ignore_permission_denied=True,
            ):
                self._is_ready.set()
                if changes:
                    self.again([Path(path) for kind, path in changes if kind != _DELETED])
        except Exception as error:  # watchfiles raises what its Rust part says, of several types
            self._error = error
        finally:
            self._is_ready.set()
            self._wake.set()
