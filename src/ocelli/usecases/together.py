"""Do for many at once what each of them asks for alone."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from ocelli.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Sequence

Item = TypeVar("Item")
Result = TypeVar("Result")

AT_ONCE = 64


class Together(Generic[Item, Result]):
    """Whoever comes while others of the same key are served is served next, with all who came.

    So a lone one waits for nobody, and under load a commit is shared. ``serve`` does all or
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
    asks in the second half of that has it looked up anew, and waits for nothing. Else it is looked
    up after they asked: who asks while it is being looked up is in the next round. So nobody hears
    what was true before the last change that ``version`` knows of.
    """

    def __init__(
        self, version: Callable[[], Hashable] | None = None, *, seconds: float = 0.0
    ) -> None:
        self._version = version or (lambda: None)
        self._seconds = seconds
        self._recent: dict[Hashable, _Recent[Result]] = {}
        self._renewing: dict[Hashable, asyncio.Task[None]] = {}
        self._together = Together(_look_up, at_once=sys.maxsize)

    async def __call__(
        self, key: Hashable, question: Callable[[], Awaitable[Result]], *, announced: bool = True
    ) -> Result:
        """What ``question`` answers, or another one of the same key. Raises what it raises.

        ``announced``: whether ``version`` tells of all that changes the answer; else none is kept.
        """
        if not announced:
            return await self._asked(key, question)
        recent = self._recent.get(key)
        if recent is None or recent.version != self._version():
            return await self._look(key, question)
        if key not in self._renewing and asyncio.get_running_loop().time() > recent.due:
            task = asyncio.create_task(self._renew(key, question))
            self._renewing[key] = task
            task.add_done_callback(lambda _: self._renewing.pop(key))
        return recent.answer

    async def _renew(self, key: Hashable, question: Callable[[], Awaitable[Result]]) -> None:
        with suppress(Exception):  # whoever asks when the answer is too old gets the error
            await self._look(key, question)

    async def _look(self, key: Hashable, question: Callable[[], Awaitable[Result]]) -> Result:
        version = self._version()
        result = await self._asked(key, question)
        if self._seconds:
            self._keep(key, result, version)
        return result

    async def _asked(self, key: Hashable, question: Callable[[], Awaitable[Result]]) -> Result:
        answer = await self._together(key, question)
        if isinstance(answer, Exception):
            raise answer
        return cast("Result", answer)

    def _keep(self, key: Hashable, answer: Result, version: Hashable) -> None:
        """Looked up after ``version`` was, so at least as new."""
        loop = asyncio.get_running_loop()
        recent = _Recent(answer, version, loop.time() + self._seconds / 2)
        self._recent[key] = recent

        def forget() -> None:
            if self._recent.get(key) is recent:
                del self._recent[key]

        loop.call_later(self._seconds, forget)


async def _look_up(questions: Sequence[Callable[[], Awaitable[object]]]) -> Sequence[object]:
    try:
        answer = await questions[0]()
    except Exception as error:
        answer = error
    return [answer] * len(questions)
