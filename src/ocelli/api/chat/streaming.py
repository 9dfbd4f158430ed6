"""Answers of the local model as server-sent events."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from ocelli.api import verified
from ocelli.api.chat import mapping
from ocelli.api.chat.errors import stream_body
from ocelli.domain.chat import ChatAnswer, LevelReport, pieces
from ocelli.domain.chat_errors import ChatError

DATA = b"data: "
DONE = b"data: [DONE]\n\n"
TOKENS_PER_EVENT = 8  # tokens per event of the local model


async def local(answer: ChatAnswer, *, include_usage: bool) -> AsyncGenerator[bytes]:
    """Yield the local model's answer, or a verified description, as events of a few words."""
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

    def opening(index: int, delta: dict[str, Any]) -> bytes:
        """The first event says what became of a level: clients that add the events up keep it."""
        if index:
            return chunk(index, delta)
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
        return _event({**head, "choices": [choice], **more, **verified.extended(answer.report)})

    for index in range(answer.n):
        if answer.tool is None:
            yield opening(index, {"role": "assistant", "content": ""})
        else:
            call = mapping.tool_call(answer).model_dump()
            call["function"]["arguments"] = ""
            calls = [{"index": 0, **call}]
            yield opening(index, {"role": "assistant", "content": None, "tool_calls": calls})
        for piece in pieces(answer.text, TOKENS_PER_EVENT):
            yield chunk(index, _delta(answer, piece))
        yield chunk(index, {}, answer.finish)
    if include_usage:
        yield _event({**head, "choices": [], "usage": mapping.usage(answer).model_dump()})
    yield DONE


async def extended(events: AsyncGenerator[bytes], report: LevelReport) -> AsyncGenerator[bytes]:
    """Yield a backend's events, the first of them with what became of the level."""
    is_said = False
    async with aclosing(events):
        async for piece in events:
            if not is_said and (with_it := _extended(piece, report)):
                piece, is_said = with_it, True
            yield piece


def _extended(piece: bytes, report: LevelReport) -> bytes | None:
    """Whole events, the first object in them extended; None if there is no object."""
    lines = piece.split(b"\n")
    for at, line in enumerate(lines):
        if line.startswith(DATA + b"{"):
            lines[at] = DATA + mapping.extended(line.removeprefix(DATA), report)
            return b"\n".join(lines)
    return None


def _delta(answer: ChatAnswer, piece: str) -> dict[str, Any]:
    if answer.tool is None:
        return {"content": piece}
    return {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}


def failed(error: ChatError) -> bytes:
    """Return the last event of a stream that ends with an error."""
    return _event(stream_body(error))


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"
