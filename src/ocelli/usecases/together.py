"""Do for many at once what each of them asks for alone."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ocelli.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Sequence

Item = TypeVar("Item")
Result = TypeVar("Result")

AT_ONCE = 64


class Together(Generic[Item, Result]):
    """Callers that come while others of the same key are served are served next, together.

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
        """What ``serve`` answers for this item. Raises what it raises."""
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
        finally:  # nothing is awaited between the last look and this: nobody is forgotten
            del self._waiting[key]
            for _, future in waiting:
                future.cancel()

    async def _answer(self, some: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._serve([item for item, _ in some])
        except Exception as error:
            if len(some) > 1 and not isinstance(error, Unavailable):
                for each in some:
                    await self._answer([each])
                return
            for _, future in some:
                if not future.done():
                    future.set_exception(error)
        except BaseException:
            for _, future in some:
                future.cancel()
            raise
        else:
            for (_, future), result in zip(some, results, strict=True):
                if not future.done():  # its client has gone; the picture stays
                    future.set_result(result)


@dataclass(frozen=True, slots=True, eq=False)
class _Recent(Generic[Result]):
    """An answer, the version that it is as new as, and since when it should be looked up anew."""

    answer: Result
    version: Hashable
    due: float


class Shared(Generic[Result]):
    """One answer for all who have the same question.

    An answer serves for ``seconds``, unless ``version`` says by then that something changed; who
    asks in the second half of that has it looked up anew, and waits for nothing. Who asks while it
    is looked up takes that answer too if nothing changed since the look began, else the next one.
    So no caller hears what was true before the last change that ``version`` knows of.
    """

    def __init__(
        self, version: Callable[[], Hashable] | None = None, *, seconds: float = 0.0
    ) -> None:
        self._version = version or (lambda: None)
        self._seconds = seconds
        self._recent: dict[Hashable, _Recent[Result]] = {}
        self._looks: dict[Hashable, asyncio.Task[Result]] = {}

    async def __call__(
        self, key: Hashable, question: Callable[[], Awaitable[Result]], *, announced: bool = True
    ) -> Result:
        """What ``question`` answers, or another one of the same key. Raises what it raises.

        ``announced``: whether ``version`` tells of all that changes the answer; else none is kept.
        """
        seconds = self._seconds if announced else 0.0
        recent = self._valid(key)
        if recent is not None:
            if key not in self._looks and asyncio.get_running_loop().time() > recent.due:
                self._look(key, question, seconds)  # its error is for those who wait for it
            return recent.answer
        if earlier := self._looks.get(key):
            await asyncio.wait([earlier])
            if recent := self._valid(key):
                return recent.answer
        # Begun after we asked: by us, or by somebody who waited as we did.
        look = self._looks.get(key) or self._look(key, question, seconds)
        return await asyncio.shield(look)

    def _valid(self, key: Hashable) -> _Recent[Result] | None:
        recent = self._recent.get(key)
        return recent if recent and recent.version == self._version() else None

    def _look(
        self, key: Hashable, question: Callable[[], Awaitable[Result]], seconds: float
    ) -> asyncio.Task[Result]:
        async def look() -> Result:
            version = self._version()
            try:
                answer = await question()
            finally:
                del self._looks[key]
            if seconds:
                self._keep(key, answer, version, seconds)
            return answer

        task = self._looks[key] = asyncio.create_task(look())
        task.add_done_callback(seen)
        return task

    def _keep(self, key: Hashable, answer: Result, version: Hashable, seconds: float) -> None:
        """Looked up after ``version`` was, so at least as new."""
        loop = asyncio.get_running_loop()
        recent = _Recent(answer, version, loop.time() + seconds / 2)
        self._recent[key] = recent

        def forget() -> None:
            if self._recent.get(key) is recent:
                del self._recent[key]

        loop.call_later(seconds, forget)


def seen(task: asyncio.Task[Any]) -> None:
    """A callback: all who wanted the task's error may have left."""
    if not task.cancelled():
        task.exception()
