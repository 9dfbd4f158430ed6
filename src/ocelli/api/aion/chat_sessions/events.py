"""An answer as server-sent events: how it is looked for, then the answer piece by piece."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from ocelli.api.aion.chat_sessions import mapping
from ocelli.domain.errors import NotFound, OcelliError
from ocelli.domain.references import pieces
from ocelli.usecases.library_chat import (
    Answered,
    PicturesFound,
    PlanProposed,
    Step,
    ToolCall,
    ToolResult,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
    from uuid import UUID

    from ocelli.api.aion.files.mapping import UrlOf
    from ocelli.domain.images import Image
    from ocelli.usecases.library_chat import Event

    UrlsOf = Callable[[Sequence[Image]], Awaitable[UrlOf]]

PING_INTERVAL = 15.0  # seconds without another event
PIECE = 4  # words
log = logging.getLogger(__name__)


def event(type: str, *, id: int | None = None, **fields: Any) -> bytes:
    r"""Return an event; its type stands in its data, too.

    >>> event("ping")
    b'event: ping\ndata: {"type": "ping"}\n\n'
    """
    data = json.dumps({"type": type, **fields}, ensure_ascii=False)
    numbered = "" if id is None else f"id: {id}\n"
    return f"{numbered}event: {type}\ndata: {data}\n\n".encode()


def error_event(error: OcelliError) -> bytes:
    """Return the event of an error; of a session that is gone, the one that is made for it."""
    if isinstance(error, NotFound):
        return event("auth_error", error=error.message)
    return event("error", message=error.message, code=error.code, error_type=error.code)


async def refusal(error: OcelliError, id: UUID) -> AsyncGenerator[bytes]:
    """Yield the events of a message that is not accepted."""
    yield event("connection", message_id=str(id), status="connected")
    yield error_event(error)
    yield event("close", message_id=str(id))


async def stream(
    events: AsyncGenerator[Event], id: UUID, urls_of: UrlsOf, *, reasoning: bool
) -> AsyncGenerator[bytes]:
    """Yield the events of an answer with this id."""
    yield event("connection", message_id=str(id), status="connected")
    yield event("thinking", status="processing")
    try:
        async with aclosing(_with_pings(events)) as found:
            async for each in found:
                if each is None:
                    yield event("ping")
                    continue
                async for frame in _frames(each, urls_of, reasoning=reasoning):
                    yield frame
    except OcelliError as error:
        yield error_event(error)
    except Exception:
        log.exception("a message of a chat session was not answered")
        yield error_event(OcelliError("Something went wrong. Send the message again."))
    yield event("close", message_id=str(id))


async def _with_pings(events: AsyncGenerator[Event]) -> AsyncGenerator[Event | None]:
    """Yield the events, and None where the next one is long in coming."""
    async with aclosing(events):
        next_event = asyncio.ensure_future(anext(events, None))
        try:
            while True:
                done, _ = await asyncio.wait({next_event}, timeout=PING_INTERVAL)
                if not done:
                    yield None
                    continue
                found = next_event.result()
                if found is None:
                    return
                next_event = asyncio.ensure_future(anext(events, None))
                yield found
        finally:
            next_event.cancel()
            await asyncio.gather(next_event, return_exceptions=True)


async def _frames(each: Event, urls_of: UrlsOf, *, reasoning: bool) -> AsyncIterator[bytes]:
    match each:
        case Step(phase, agent, message, reason):
            why: dict[str, Any] = {"reasoning": reason} if reasoning else {}
            yield event("thinking_step", phase=phase, agent_name=agent, message=message, **why)
            yield event("status", phase=phase, message=message, agent_name=agent)
        case ToolCall(tool, agent):
            yield event("tool_invocation", tool_name=tool, agent_name=agent)
        case ToolResult(tool, count):
            yield event("tool_result", tool_name=tool, result_count=count)
        case PicturesFound(images):
            url_of = await urls_of(images)
            shown = [info.model_dump() for info in mapping.image_infos(images, url_of)]
            yield event("image_results", images=shown, count=len(shown))
        case PlanProposed():
            yield event("plan_pending_approval", **each.data)
        case Answered():
            for frame in _answer(each, await urls_of(each.images)):
                yield frame


def _answer(answered: Answered, url_of: UrlOf) -> list[bytes]:
    text, frames, so_far = answered.message.content, [], ""
    for index, piece in enumerate(pieces(text, PIECE)):
        so_far += piece
        frames.append(
            event("token", id=index + 1, content=piece, accumulated=so_far, token_index=index)
        )
    body = mapping.answer(answered, url_of).model_dump(mode="json")
    refs = body["result_refs"]
    return [
        *frames,
        event(
            "complete",
            agents_used=list(answered.agents),
            has_results=bool(answered.images),
            result_count=sum(each["count"] for each in refs.values()) or len(answered.images),
            **body,
        ),
    ]
