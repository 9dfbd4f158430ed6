"""Answers as server-sent events, and what to do when nobody listens any more. Pure ASGI."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from ocelli.api.chat import mapping
from ocelli.api.chat.errors import stream_body
from ocelli.domain.chat import Completion, tokens
from ocelli.domain.chat_errors import ChatError, ClientGone

if TYPE_CHECKING:
    from starlette.types import Receive, Send

T = TypeVar("T")

EVENT_STREAM = b"text/event-stream; charset=utf-8"
DONE = b"data: [DONE]\n\n"
PIECE = 8  # tokens per event of the local model

_HEADERS = (
    (b"content-type", EVENT_STREAM),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)


async def unless_gone(receive: Receive, work: Awaitable[T]) -> T:
    """What ``work`` brings; it is cancelled, and ClientGone raised, if the client hangs up.

    The body must have been received already.
    """
    task = asyncio.current_task()
    assert task is not None
    gone = asyncio.ensure_future(_until_gone(receive))
    gone.add_done_callback(lambda done: None if done.cancelled() else task.cancel())
    try:
        return await work
    except asyncio.CancelledError:
        if gone.done() and not gone.cancelled() and task.uncancel() == 0:
            raise ClientGone("The client hung up.") from None
        raise
    finally:
        gone.cancel()


async def send_stream(
    send: Send, pieces: AsyncIterator[bytes], headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    """Each piece as it comes. After an error there is one event that says so, and the end."""
    await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS, *headers]})
    try:
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    except ChatError as error:
        event = b"\n\n" + _event(stream_body(error))  # whatever was half said is ended first
        await send({"type": "http.response.body", "body": event, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def local(answer: Completion, *, include_usage: bool) -> AsyncIterator[bytes]:
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
        yield chunk(index, {"role": "assistant", "content": ""})
        for piece in _pieces(answer.text):
            yield chunk(index, {"content": piece})
        yield chunk(index, {}, answer.finish)
    if include_usage:
        yield _event({**head, "choices": [], "usage": mapping.usage(answer).model_dump()})
    yield DONE


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _pieces(text: str) -> Iterator[str]:
    words = tokens(text)
    while piece := "".join(islice(words, PIECE)):
        yield piece


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"
