"""The answer: one object, or the events that lead to it."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from ocelli.api import verified
from ocelli.api.responses import errors
from ocelli.api.responses.schemas import ResponseRequest
from ocelli.domain.chat import Finish, Piece, ToolInvocation, WholeAnswer
from ocelli.domain.chat_errors import ChatError


@dataclass(frozen=True, slots=True)
class Draft:
    """What is known of an answer before it is there."""

    request: ResponseRequest
    store: bool
    id: UUID = field(default_factory=uuid.uuid4)
    created_at: int = field(default_factory=lambda: int(time.time()))

    @property
    def message_id(self) -> str:
        """Of the message in it."""
        return f"msg_{self.id.hex}"

    def begun(self) -> dict[str, Any]:
        """While nothing is there yet."""
        return self._body("in_progress", self.request.model, [])

    def done(self, answer: WholeAnswer) -> dict[str, Any]:
        """With all that was answered."""
        is_cut = answer.finish is Finish.LENGTH
        status = "incomplete" if is_cut else "completed"
        body = self._body(status, answer.model or self.request.model, self._output(answer, status))
        if is_cut:
            body["incomplete_details"] = {"reason": "max_output_tokens"}
        else:
            body["completed_at"] = int(time.time())
        body["usage"] = _usage(answer)
        return {**body, **verified.extended(answer.report)}

    def failed(self, error: dict[str, Any]) -> dict[str, Any]:
        """Broken off."""
        body = self._body("failed", self.request.model, [])
        body["error"] = {"code": error["code"] or "server_error", "message": error["message"]}
        return body

    def message(self, text: str | None, status: str) -> dict[str, Any]:
        """The item that says something; None: not yet."""
        return {
            "type": "message",
            "id": self.message_id,
            "role": "assistant",
            "status": status,
            "content": [] if text is None else [text_part(text)],
        }

    def call(self, index: int, call: ToolInvocation, status: str) -> dict[str, Any]:
        """The item that calls a function."""
        return {
            "type": "function_call",
            "id": f"fc_{self.id.hex}_{index}",
            "call_id": call.id or f"call_{self.id.hex[:22]}{index:02}",
            "name": call.name,
            "arguments": call.arguments,
            "status": status,
        }

    def _output(self, answer: WholeAnswer, status: str) -> list[dict[str, Any]]:
        calls = [self.call(at, call, status) for at, call in enumerate(answer.calls)]
        if answer.text or not calls:
            return [self.message(answer.text, status), *calls]
        return calls

    def _body(self, status: str, model: str, output: list[dict[str, Any]]) -> dict[str, Any]:
        request = self.request
        limit = request.max_output_tokens
        return {
            "id": f"resp_{self.id.hex}",
            "object": "response",
            "created_at": self.created_at,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": request.instructions,
            "max_output_tokens": None if limit is None else int(limit),
            "model": model,
            "output": output,
            "parallel_tool_calls": True,
            "previous_response_id": request.previous_response_id,
            "reasoning": {"effort": None, "summary": None},
            "service_tier": "default",
            "store": self.store,
            "temperature": request.temperature,
            "text": request.text or {"format": {"type": "text"}},
            "tool_choice": request.tool_choice or "auto",
            "tools": request.tools or [],
            "top_p": request.top_p,
            "truncation": "disabled",
            "usage": None,
            "user": request.user if isinstance(request.user, str) else None,
            "metadata": request.metadata,
        }


def text_part(text: str) -> dict[str, Any]:
    """The part of a message that says it."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


async def events(
    draft: Draft,
    parts: AsyncGenerator[Piece | WholeAnswer],
    keep: Callable[[dict[str, Any]], Awaitable[None]],
) -> AsyncGenerator[bytes]:
    """The answer as events in their order; ``keep`` is called before the last one."""
    stream = _Stream(draft)
    yield stream.event("response.created", response=draft.begun())
    yield stream.event("response.in_progress", response=draft.begun())
    try:
        async with aclosing(parts):
            async for part in parts:
                if isinstance(part, Piece):
                    if part.text:
                        yield stream.said(part.text)
                    continue
                body = draft.done(part)
                yield stream.ended(part, body)
                await keep(body)
                yield stream.event(f"response.{body['status']}", response=body)
    except ChatError as error:
        said = errors.described(error)[1].model_dump()
        yield stream.event("response.failed", response=draft.failed(said))
        flat = {name: said[name] for name in ("code", "message", "param")}
        yield stream.event("error", **flat, error=said)


class _Stream:
    """Numbers events, and opens items when there is something in them."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._number = 0
        self._opened = False

    def event(self, type: str, **fields: Any) -> bytes:
        value = {"type": type, "sequence_number": self._number, **fields}
        self._number += 1
        return f"event: {type}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n".encode()

    def said(self, text: str) -> bytes:
        """A part of the message, which begins with the first."""
        return self._open() + self._text("response.output_text.delta", delta=text)

    def ended(self, answer: WholeAnswer, body: dict[str, Any]) -> bytes:
        """Of every item."""
        out = b""
        for index, item in enumerate(body["output"]):
            if item["type"] == "message":
                out += self._message(item, answer.text)
            else:
                out += self._call(index, item)
        return out

    def _open(self) -> bytes:
        if self._opened:
            return b""
        self._opened = True
        item = self._draft.message(None, "in_progress")
        return self.event("response.output_item.added", output_index=0, item=item) + self._text(
            "response.content_part.added", logprobs=None, part=text_part("")
        )

    def _message(self, item: dict[str, Any], text: str) -> bytes:
        return b"".join(
            (
                self._open(),
                self._text("response.output_text.done", text=text),
                self._text("response.content_part.done", logprobs=None, part=text_part(text)),
                self.event("response.output_item.done", output_index=0, item=item),
            )
        )

    def _call(self, index: int, item: dict[str, Any]) -> bytes:
        place = {"item_id": item["id"], "output_index": index}
        begun = {**item, "arguments": "", "status": "in_progress"}
        arguments = item["arguments"]
        kind = "response.function_call_arguments"
        return b"".join(
            (
                self.event("response.output_item.added", output_index=index, item=begun),
                self.event(f"{kind}.delta", **place, delta=arguments),
                self.event(f"{kind}.done", **place, name=item["name"], arguments=arguments),
                self.event("response.output_item.done", output_index=index, item=item),
            )
        )

    def _text(self, type: str, *, logprobs: Any = (), **fields: Any) -> bytes:
        """An event of the message's one part."""
        more: dict[str, Any] = {} if logprobs is None else {"logprobs": []}
        return self.event(
            type,
            item_id=self._draft.message_id,
            output_index=0,
            content_index=0,
            **fields,
            **more,
        )


def _usage(answer: WholeAnswer) -> dict[str, Any] | None:
    """None where a backend does not say."""
    if answer.prompt_tokens is None or answer.completion_tokens is None:
        return None
    return {
        "input_tokens": answer.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": answer.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": answer.prompt_tokens + answer.completion_tokens,
    }
