"""A run: hand out what has no row yet, and write a row for every source."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from ocelli.bulk import rows
from ocelli.bulk.account import Account
from ocelli.bulk.feed import Feed
from ocelli.bulk.rows import RowStatus
from ocelli.bulk.shards import row_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from ocelli.bulk.account import Limits
    from ocelli.bulk.history import History
    from ocelli.bulk.rows import Row
    from ocelli.bulk.shards import ShardWriter
    from ocelli.bulk.tasks import Entry, Task


class EngineFailed(Exception):
    """No picture can be described here; the message says why."""


class Engine(Protocol):
    """Who runs the workers: processes of this machine, or an engine that others keep."""

    def run(self, feed: Feed, claim: Callable[[Task, str], bool]) -> Iterator[Row | None]:
        """Yield a row for each task of ``feed``, in any order, and None every second.

        ``claim`` says whether a task with this key is to be described; it may be called from any
        thread. Raises EngineFailed.
        """
        ...


class Run:
    """One run over one output. ``account`` is up to date after each step of ``steps``."""

    def __init__(
        self,
        entries: Iterable[Entry],
        history: History,
        writer: ShardWriter,
        limits: Limits,
        *,
        holds_bytes: bool,
    ) -> None:
        self.account = Account()
        self._history = history
        self._writer = writer
        self._limits = limits
        self._claimed: dict[str, int] = {}  # key → task that describes it
        self._keys: dict[int, str] = {}  # the other way
        self._waiting: dict[str, list[Row]] = {}  # duplicates of what has no row yet
        self._lock = threading.RLock()  # engines ask from threads of their own
        self.feed = Feed(
            entries,
            history,
            self.account,
            limits,
            self._write,
            self._lock,
            holds_bytes=holds_bytes,
        )

    def steps(self, engine: Engine) -> Iterator[None]:
        """Do the run; yields after every row and every second. All that was done is written at the
        end, however it comes. Raises EngineFailed, and what the listing raises.
        """
        try:
            for row in engine.run(self.feed, self.claim):
                with self._lock:
                    if row is not None and self.feed.finished(row):
                        self._settle(row)
                    self._writer.tick()
                yield
        finally:
            self._writer.flush()

    def claim(self, task: Task, key: str) -> bool:
        """See Engine."""
        with self._lock:
            if self._history.first_with(key) is not None:
                return False
            if self._claimed.setdefault(key, task.id) != task.id:
                return False
            self._keys[task.id] = key
            return True

    def abandon(self) -> int:
        """Take what has no row out of the account; return how many these are. The next run does
        them.
        """
        unfinished = len(self.feed.under_way) + sum(map(len, self._waiting.values()))
        self.account.seen -= unfinished
        return unfinished

    def is_complete(self, folder: Path) -> bool:
        """Return whether the account sums, and the shards hold every row that it counts."""
        held = row_count(folder)
        return self.account.is_balanced and held == self._history.rows + self._writer.written

    def _settle(self, row: Row) -> None:
        """Write a row, and those of its duplicates, which wait for it."""
        key = row.key or self._keys.get(row.task)
        if key is None:  # nothing could be read
            self._write(row)
            return
        row = replace(row, key=key)
        first = self._history.first_with(key)
        if first is not None:  # an engine without claims has described it twice
            self._write(rows.pointing_at(row, first))
        elif row.status is RowStatus.DUPLICATE:
            self._waiting.setdefault(key, []).append(row)
            return
        else:
            self._write(row)
            self._history.add(row)
        self._claimed.pop(key, None)
        self._keys.pop(row.task, None)
        for each in self._waiting.pop(key, ()):
            self._write(rows.pointing_at(each, first or row.source))

    def _write(self, row: Row) -> None:
        self.account.add(row)
        self._writer.add(row)
        failures = self._limits.failures
        if failures is not None and self.account.now[RowStatus.FAILED] > failures:
            self.feed.stop("failures")
