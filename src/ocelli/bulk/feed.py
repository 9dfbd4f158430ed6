"""What is still to do: the listing, without what has a row, within the limits of the run."""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter, deque
from itertools import islice
from typing import TYPE_CHECKING

from ocelli.bulk import rows
from ocelli.bulk.tasks import Task

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator

    from ocelli.bulk.account import Account, Limits
    from ocelli.bulk.history import History
    from ocelli.bulk.rows import Row
    from ocelli.bulk.tasks import Entry

CHUNK = 4096  # entries that are compared with the shards at once
CHUNK_OF_BYTES = 16
BYTES_AT_ONCE = 64 * 1024 * 1024  # of pictures that are in the listing itself
MAX_BYTES_UNDER_WAY = 256 * 1024 * 1024


class Feed:
    """Hands out tasks, one by one, from any thread that may take ``lock``.

    ``under_way`` are those without a row yet. Once there will be no more it has ``ended``; where
    that is not the end of the listing, ``stopped_by`` names the limit. ``skip`` takes the rows of
    entries without a picture.
    """

    def __init__(
        self,
        entries: Iterable[Entry],
        history: History,
        account: Account,
        limits: Limits,
        skip: Callable[[Row], None],
        lock: threading.RLock,
        *,
        holds_bytes: bool,
    ) -> None:
        self._entries = iter(entries)
        self._history = history
        self._account = account
        self._limits = limits
        self._skip = skip
        self._chunk = CHUNK_OF_BYTES if holds_bytes else CHUNK
        self._waiting: deque[Entry] = deque()
        self._lock = lock
        self._bytes = 0
        self._next_id = 0
        self.under_way: dict[int, Task] = {}
        self.ended = False
        self.stopped_by: str | None = None

    def take(self) -> Task | None:
        """Return the next task; None if there is none now, or has ``ended``."""
        with self._lock:
            if self.ended or self._bytes > MAX_BYTES_UNDER_WAY:
                return None
            while not self._waiting:
                if not self._refill():
                    self.ended = True
                    return None
            if self._limits.sources is not None and self._next_id >= self._limits.sources:
                self._stop("limit")
                return None
            if not self._limits.affordable(self._account, len(self.under_way)):
                if not self.under_way:
                    self._stop("budget")
                return None
            entry = self._waiting.popleft()
            task = Task(self._next_id, entry.source, entry.location, entry.data)
            self._next_id += 1
            self._account.seen += 1
            self._bytes += len(task.data or b"")
            self.under_way[task.id] = task
            return task

    def finished(self, row: Row) -> bool:
        """Note that a task has its row; return False if it had one already."""
        with self._lock:
            task = self.under_way.pop(row.task, None)
            if task is None:
                return False
            self._bytes -= len(task.data or b"")
            return True

    def stop(self, reason: str) -> None:
        """Hand out nothing any more."""
        with self._lock:
            self._stop(reason)

    def _stop(self, reason: str) -> None:
        self._waiting.clear()
        self.ended = True
        self.stopped_by = self.stopped_by or reason

    def _refill(self) -> bool:
        """Compare more of the listing with the shards; return False at its end."""
        chunk, size = [], 0
        for entry in self._entries:
            chunk.append(entry)
            size += len(entry.data or b"")
            if len(chunk) >= self._chunk or size >= BYTES_AT_ONCE:
                break
        statuses = self._history.take([each.source for each in chunk])
        held = Counter(each for each in statuses if each is not None)
        self._account.before.update(held)
        self._account.seen += held.total()
        for entry, status in zip(chunk, statuses, strict=True):
            if status is not None:
                continue
            if entry.problem is None:
                self._waiting.append(entry)
            else:
                self._account.seen += 1
                self._skip(rows.skipped(entry.source, entry.problem))
        return bool(chunk)


def sample(listing: Callable[[], Iterator[Entry]], count: int) -> Iterator[Entry]:
    """Yield ``count`` entries of a listing, the same ones each time: chosen by their names."""
    marks = (_mark(entry.source) for entry in listing())
    chosen = set(heapq.nsmallest(count, marks))
    return islice((entry for entry in listing() if _mark(entry.source) in chosen), count)


def _mark(source: str) -> bytes:
    return hashlib.sha256(source.encode("utf-8", "surrogateescape")).digest()[:12]
