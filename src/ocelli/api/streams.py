"""Streamed and slow answers, which a disconnect of the client cancels. Pure ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, TypeVar

from starlette.responses import Response

from ocelli.domain.chat_errors import ChatError, ClientGone

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

T = TypeVar("T")

WATCH_DELAY = 0.05

_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


async def cancel_on_disconnect(receive: Receive, work: Awaitable[T]) -> T:
    """Return the result of ``work``; if the client disconnects, cancel it and raise ClientGone.

    The body must have been received already. The watcher starts after ``WATCH_DELAY`` seconds: most
    answers are there by then, and a watcher costs a tenth of such an answer.
    """
    watch = _DisconnectWatcher(receive)
    try:
        return await work
    except asyncio.CancelledError:
        if watch.has_disconnected and watch.task.uncancel() == 0:
            raise ClientGone("The client hung up.") from None
        raise
    finally:
        watch.stop()


class PieceStream(Response):
    """A stream of pieces, until the client disconnects; then the generator is closed.

    An error becomes one piece, and ends the stream.
    """

    def __init__(
        self,
        pieces: AsyncGenerator[bytes],
        failed: Callable[[ChatError], bytes],
        headers: Mapping[str, str],
        close: Callable[[], None] = lambda: None,
    ) -> None:
        """``failed`` gives the piece for an error; ``close`` is called at the end, however that
        comes."""
        self.status_code = 200
        self.background = None
        self.init_headers({**_HEADERS, **headers})
        self._pieces = pieces
        self._failed = failed
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        del scope
        try:
            with suppress(ClientGone):
                async with aclosing(self._pieces) as pieces:
                    await cancel_on_disconnect(receive, self._send(pieces, send))
        finally:
            self._close()

    async def _send(self, pieces: AsyncGenerator[bytes], send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except ChatError as error:
            said = self._failed(error)
            await send({"type": "http.response.body", "body": said, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class EventStream(PieceStream):
    """Pieces that are whole server-sent events."""

    media_type = "text/event-stream"


class _DisconnectWatcher:
    """Cancels the task that made it when the client hangs up."""

    def __init__(self, receive: Receive) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task = task
        self.has_disconnected = False
        self._receive = receive
        self._watching: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(WATCH_DELAY, self._begin)

    def stop(self) -> None:
        self._timer.cancel()
        if self._watching is not None:
            self._watching.cancel()

    def _begin(self) -> None:
        self._watching = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.has_disconnected = True
        self.task.cancel()
