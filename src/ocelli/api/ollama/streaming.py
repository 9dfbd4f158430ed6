"""Answers as Ollama gives them: one JSON object, or one per line."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from ocelli.api import verified
from ocelli.api.ollama import errors, mapping
from ocelli.api.streams import PieceStream
from ocelli.domain.chat import Finish, Piece, WholeAnswer
from ocelli.usecases.conversations import Answering

Said = Callable[[str, str, list[dict[str, Any]]], dict[str, Any]]
"""From text, thoughts and calls to the fields that say them."""


class Lines(PieceStream):
    """Of an answer that has begun."""

    media_type = "application/x-ndjson"

    def __init__(self, answer: Answering, model: str, said: Said, started: float) -> None:
        lines = _lines(answer.parts, model, said, started)
        super().__init__(lines, errors.line, {}, answer.close)


def generated(text: str, thought: str, calls: list[dict[str, Any]]) -> dict[str, Any]:
    """The fields of an answer to a prompt; it has no calls."""
    del calls
    return {"response": text, **({"thinking": thought} if thought else {})}


def chatted(text: str, thought: str, calls: list[dict[str, Any]]) -> dict[str, Any]:
    """The fields of an answer in a conversation."""
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if thought:
        message["thinking"] = thought
    if calls:
        message["tool_calls"] = calls
    return {"message": message}


def whole(answer: WholeAnswer, model: str, said: Said, started: float) -> dict[str, Any]:
    """All at once."""
    fields = said(answer.text, answer.thought, mapping.called(answer.calls))
    return {**_head(model), **fields, **_end(answer, started, started)}


def loaded(model: str, said: Said, *, unloads: bool) -> dict[str, Any]:
    """The answer to a request that asks for nothing."""
    reason = "unload" if unloads else "load"
    return {**_head(model), **said("", "", []), "done": True, "done_reason": reason}


async def _lines(
    parts: AsyncGenerator[Piece | WholeAnswer], model: str, said: Said, started: float
) -> AsyncGenerator[bytes]:
    """The text of the last line is empty: a client drops it."""
    first = 0.0
    async with aclosing(parts):
        async for part in parts:
            first = first or time.perf_counter()
            if isinstance(part, Piece):
                yield _line({**_head(model), **said(part.text, part.thought, []), "done": False})
                continue
            if part.calls:
                calls = mapping.called(part.calls)
                yield _line({**_head(model), **said("", "", calls), "done": False})
            yield _line({**_head(model), **said("", "", []), **_end(part, started, first)})


def _head(model: str) -> dict[str, Any]:
    return {"model": model, "created_at": mapping.now()}


def _end(answer: WholeAnswer, started: float, first: float) -> dict[str, Any]:
    """Counts that are not known are left out, as Ollama does with those that are zero."""
    done = time.perf_counter()
    durations = {
        "total_duration": done - started,
        "prompt_eval_duration": first - started,
        "eval_duration": done - first,
    }
    counts = {
        "prompt_eval_count": answer.prompt_tokens,
        "eval_count": answer.completion_tokens,
        **{name: int(seconds * 1e9) for name, seconds in durations.items()},
    }
    reason = "length" if answer.finish is Finish.LENGTH else "stop"
    return {
        "done": True,
        "done_reason": reason,
        **{name: count for name, count in counts.items() if count},
        **verified.extended(answer.report),
    }


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"
