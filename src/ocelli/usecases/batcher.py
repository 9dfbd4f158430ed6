"""Batching of concurrent calls: one operation serves several callers."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ocelli.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Sequence

Item = TypeVar("Item")
Result = TypeVar("Result")

AT_ONCE = 64


class Batcher(Generic[Item, Result]):
    """Collects the calls of a key that arrive during an operation, and serves them with the next.

    So a lone one does not wait, and under load a commit is shared. ``serve`` does all or
    nothing; if it fails for several each is tried alone, so that none pays for another's mistake.
    """

    def __init__(
        self,
        serve: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        at_once: int = AT_ONCE,
    ) -> None:
        self._serve = serve
        self._at_once = at_once
        self._waiting: dict[Hashable, deque[tuple[Item, asyncio.Future[Result]]]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def __call__(self, key: Hashable, item: Item) -> Result:
        """Return the result of ``serve`` for this item. Raises what ``serve`` raises."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        if key in self._waiting:
            self._waiting[key].append((item, future))
        else:
            self._waiting[key] = deque([(item, future)])
            task = asyncio.create_task(self._run(key))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return await future

    async def _run(self, key: Hashable) -> None:
        waiting = self._waiting[key]
        try:
            while waiting:
                await self._answer(
                    [waiting.popleft() for _ in range(min(len(waiting), self._at_once))]
                )
        finally:  # no await between the last check and this, so no call is lost
            del self._waiting[key]
            for _, future in waiting:
                future.cancel()

    async def _answer(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._serve([item for item, _ in batch])
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, Unavailable):
                for each in batch:
                    await self._answer([each])
                return
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
        except BaseException:
            for _, future in batch:
                future.cancel()
            raise
        else:
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():  # its client has gone; the picture stays
                    future.set_result(result)


def consume_error(task: asyncio.Task[Any]) -> None:
    """Read a task's error, as a callback: else asyncio logs it if no caller is waiting any more."""
    if not task.cancelled():
        task.exception()
