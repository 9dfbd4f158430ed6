"""One event loop in one private thread, and methods that run there while the caller waits."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

P = ParamSpec("P")
R = TypeVar("R")

CLEAN_UP = 10.0  # seconds that a cancelled call gets to close its connections
_END = object()


class LoopThread:
    """Runs coroutines for other threads."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._finish: Callable[[], Coroutine[Any, Any, None]] | None = None
        self._thread = threading.Thread(target=self._main, name="aion", daemon=True)
        self._thread.start()

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(_cancel_all(self._loop))
            if self._finish is not None:
                self._loop.run_until_complete(self._finish())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            self._loop.close()

    @property
    def is_closed(self) -> bool:
        """Whether it has ended."""
        return self._loop.is_closed()

    def run(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Run to the end and return what it returns; Ctrl-C cancels it and cleans up first."""
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError(
                "A callback cannot call the client it belongs to: return first, then call"
            )
        if self.is_closed:
            coroutine.close()
            raise RuntimeError("This client is closed")
        done: Future[R] = Future()
        cancel: list[Callable[[], object]] = []
        self._loop.call_soon_threadsafe(self._start, coroutine, done, cancel)
        try:
            return done.result()
        except asyncio.CancelledError:
            raise RuntimeError("This client was closed while the call was under way") from None
        except BaseException:
            if not done.done():  # it is the caller who was interrupted
                self._loop.call_soon_threadsafe(lambda: [stop() for stop in cancel])
                _wait(done)
            raise

    def _start(
        self, coroutine: Coroutine[Any, Any, R], done: Future[R], cancel: list[Callable[[], object]]
    ) -> None:
        async def deliver() -> None:
            try:
                done.set_result(await coroutine)
            except BaseException as error:
                done.set_exception(error)
                if not isinstance(error, Exception | asyncio.CancelledError):
                    raise

        cancel.append(self._loop.create_task(deliver()).cancel)

    def close(self, finish: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """End the loop and its thread: calls under way are cancelled, then ``finish`` runs.

        In the other order a call could open another connection after ``finish`` closed all.
        """
        if not self.is_closed:
            self._finish = finish
            self._loop.call_soon_threadsafe(self._loop.stop)
            if threading.current_thread() is not self._thread:
                self._thread.join(CLEAN_UP)


async def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel all tasks but this one, also those that others start meanwhile.

    One that has not begun is let begin first: cancelled before, it would never await the coroutine
    that it was made for, and Python warns of that.
    """
    while tasks := asyncio.all_tasks(loop) - {asyncio.current_task()}:
        begun = [task for task in tasks if _has_begun(task)]
        for task in begun:
            task.cancel()
        if begun:
            await asyncio.gather(*begun, return_exceptions=True)
        else:
            await asyncio.sleep(0)


def _has_begun(task: asyncio.Task[Any]) -> bool:
    coroutine = task.get_coro()
    return not inspect.iscoroutine(coroutine) or (
        inspect.getcoroutinestate(coroutine) != inspect.CORO_CREATED
    )


def _wait(done: Future[Any]) -> None:
    with suppress(BaseException):  # the interruption itself is what the caller sees
        done.exception(CLEAN_UP)


class Facade(Protocol):
    """What the methods below need: the async object, and the loop it lives in."""

    def _async(self) -> Any: ...

    def _run(self, coroutine: Coroutine[Any, Any, R]) -> R: ...


def blocking(
    method: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[Any, P], R]:
    """The same method, waiting for its result; signature and docstring stay."""

    @functools.wraps(method)
    def call(self: Facade, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._run(method(self._async(), *args, **kwargs))

    return call


def iterating(
    method: Callable[Concatenate[Any, P], AsyncIterator[R]],
) -> Callable[Concatenate[Any, P], Iterator[R]]:
    """The same method for ``for`` instead of ``async for``."""

    @functools.wraps(method)
    def call(self: Facade, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
        items = method(self._async(), *args, **kwargs)
        try:
            while (item := self._run(_next(items))) is not _END:
                yield item
        finally:
            with suppress(RuntimeError):  # the client may be closed by now, and the items with it
                self._run(_close(items))

    return call


async def _next(items: AsyncIterator[R]) -> Any:
    return await anext(items, _END)


async def _close(items: Any) -> None:
    if hasattr(items, "aclose"):
        await items.aclose()
