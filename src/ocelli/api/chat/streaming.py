"""Answers as server-sent events, and what to do when the client has left. Pure ASGI."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.responses import Response

from ocelli.api.chat import mapping
from ocelli.api.chat.errors import stream_body
from ocelli.domain.chat import ChatAnswer, tokens
from ocelli.domain.chat_errors import ChatError, ClientGone

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

T = TypeVar("T")

DONE = b"data: [DONE]\n\n"
PATIENCE = 0.05
PIECE = 8  # tokens per event of the local model

_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


async def unless_gone(receive: Receive, work: Awaitable[T]) -> T:
    """What ``work`` brings; it is cancelled, and ClientGone raised, if the client hangs up.

    The body must have been received already. The watcher starts after ``PATIENCE`` seconds: most
    answers are there by then, and a watcher costs a tenth of such an answer.
    """
    watch = _Watch(receive)
    try:
        return await work
    except asyncio.CancelledError:
        if watch.is_gone and watch.task.uncancel() == 0:
            raise ClientGone("The client hung up.") from None
        raise
    finally:
        watch.stop()


class EventStream(Response):
    """Whole events as they come, until the client hangs up; then the pieces are closed.

    After an error there is one event that says so, and the end.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        pieces: AsyncGenerator[bytes],
        headers: Mapping[str, str],
        close: Callable[[], None] = lambda: None,
    ) -> None:
        """``close`` is called at the end, however that comes."""
        self.status_code = 200
        self.background = None
        self.init_headers({**_HEADERS, **headers})
        self._pieces = pieces
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        del scope
        try:
            with suppress(ClientGone):
                async with aclosing(self._pieces) as pieces:
                    await unless_gone(receive, self._send(pieces, send))
        finally:
            self._close()

    async def _send(self, pieces: AsyncGenerator[bytes], send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except ChatError as error:
            event = _event(stream_body(error))
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def local(answer: ChatAnswer, *, include_usage: bool) -> AsyncGenerator[bytes]:
    """The local model's answer in pieces of a few words."""
    head = {
        "id": mapping.new_id(),
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": answer.model,
    }
    more: dict[str, Any] = {"usage": None} if include_usage else {}

    def chunk(index: int, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _event({**head, "choices": [choice], **more})

    for index in range(answer.n):
        if answer.tool is None:
            yield chunk(index, {"role": "assistant", "content": ""})
        else:
            call = mapping.tool_call(answer).model_dump()
            call["function"]["arguments"] = ""
            calls = [{"index": 0, **call}]
            yield chunk(index, {"role": "assistant", "content": None, "tool_calls": calls})
        for piece in _pieces(answer.text):
            yield chunk(index, _delta(answer, piece))
        yield chunk(index, {}, answer.finish)
    if include_usage:
        yield _event({**head, "choices": [], "usage": mapping.usage(answer).model_dump()})
    yield DONE


class _Watch:
    """Cancels the task that made it when the client hangs up."""

    def __init__(self, receive: Receive) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task = task
        self.is_gone = False
        self._receive = receive
        self._watching: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(PATIENCE, self._begin)

    def stop(self) -> None:
        self._timer.cancel()
        if self._watching is not None:
            self._watching.cancel()

    def _begin(self) -> None:
        self._watching = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.is_gone = True
        self.task.cancel()


def _delta(answer: ChatAnswer, piece: str) -> dict[str, Any]:
    if answer.tool is None:
        return {"content": piece}
    return {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}


def _pieces(text: str) -> Iterator[str]:
    words = tokens(text)
    while piece := "".join(islice(words, PIECE)):
        yield piece


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"
