"""Which task goes to which worker process, and what becomes of those whose process dies."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ocelli.bulk import rows
from ocelli.domain.analysis import Failure
from ocelli.domain.errors import FailureType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ocelli.bulk.feed import Feed
    from ocelli.bulk.rows import Row
    from ocelli.bulk.tasks import Task


class HandOut:
    """``at_once`` tasks for each process.

    What a process had when it died goes to another one, each task alone; what dies with that one
    too has failed. A whole machine that dies says nothing about its tasks.
    """

    def __init__(self, feed: Feed, at_once: int) -> None:
        self._feed = feed
        self._at_once = at_once
        self._again: deque[Task] = deque()
        self._suspects: deque[Task] = deque()
        self._suspected: set[int] = set()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to hand out."""
        return self._feed.ended and not self._suspects and not self._again

    def for_process(self, held: Mapping[int, Task]) -> Task | None:
        """Return another task for a process that has these; None if it is to have no more now."""
        if not self._suspected.isdisjoint(held) or len(held) >= self._at_once:
            return None
        if self._suspects and not held:
            return self._suspects.popleft()
        return self._again.popleft() if self._again else self._feed.take()

    def again(self, tasks: Iterable[Task]) -> None:
        """Take back tasks that are not to blame for the end of their process."""
        self._again.extend(tasks)

    def died(self, tasks: Iterable[Task], ending: str) -> Iterator[Row]:
        """Take back the tasks of a process that died; yield the rows of those that failed."""
        for task in tasks:
            if task.id in self._suspected:
                message = f"The process that looked at this picture ended twice ({ending})."
                yield rows.failed(
                    task, Failure(FailureType.RESOURCE_LIMIT, message, retryable=False)
                )
            else:
                self._suspected.add(task.id)
                self._suspects.append(task)
