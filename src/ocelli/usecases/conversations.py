"""Conversations that come in another shape than chat completions: with any model that there is.

The local model answers itself; for a backend a conversation is translated.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from ocelli.domain.chat import Piece, ToolInvocation, WholeAnswer, pieces
from ocelli.usecases.chat_relay import RelayRequest
from ocelli.usecases.chat_translation import AnswerReader, answer_of, request_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from ocelli.domain.accounts import Tenant
    from ocelli.domain.chat import ChatAnswer, Conversation
    from ocelli.domain.ports_chat import ChatUpstream
    from ocelli.usecases.chat import LocalChat
    from ocelli.usecases.chat_models import ChatModels
    from ocelli.usecases.chat_relay import Relay, Relayed

PIECE = 8  # tokens of the local model's answer


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks; ``max_picture_bytes`` is the largest picture that they may show."""

    tenant: Tenant
    max_picture_bytes: int
    request_id: str


@dataclass(frozen=True, slots=True)
class Answering:
    """An answer that has begun: pieces of its text, and then all of it. The caller closes it."""

    parts: AsyncGenerator[Piece | WholeAnswer]
    close: Callable[[], None]


class Conversations:
    """Over all models."""

    def __init__(self, models: ChatModels, local: LocalChat, relay: Relay) -> None:
        self._models = models
        self._local = local
        self._relay = relay

    async def answer(self, asking: Asking, conversation: Conversation) -> WholeAnswer:
        """All at once. Raises ModelNotFound, and see ``begin``."""
        conversation = replace(conversation, stream=False)
        upstreams = self._models.resolve(conversation.model)
        if not upstreams:
            return await self._of_local(asking, conversation)
        relayed = await self._open(asking, conversation, upstreams)
        try:
            return await asyncio.to_thread(_whole, relayed.body)
        finally:
            relayed.close()

    async def begin(self, asking: Asking, conversation: Conversation) -> Answering:
        """Once its first part is known: whatever can be wrong with a request is found before.

        Raises ChatError, UsageLimitExceeded, and what AdHocAnalyses.ask raises; ``parts`` raise
        UpstreamError.
        """
        conversation = replace(conversation, stream=True)
        upstreams = self._models.resolve(conversation.model)
        if not upstreams:
            return Answering(_local(await self._of_local(asking, conversation)), lambda: None)
        relayed = await self._open(asking, conversation, upstreams)
        assert relayed.events is not None
        return Answering(_relayed(relayed.events), relayed.close)

    async def _of_local(self, asking: Asking, conversation: Conversation) -> WholeAnswer:
        answer = await self._local.complete(
            asking.tenant, conversation, max_bytes=asking.max_picture_bytes
        )
        return _whole_of(answer)

    async def _open(
        self, asking: Asking, conversation: Conversation, upstreams: Sequence[ChatUpstream]
    ) -> Relayed:
        body = await asyncio.to_thread(_written, conversation)
        request = RelayRequest(
            body=body,
            read=partial(json.loads, body),
            model=conversation.model,
            pictures=conversation.pictures,
            stream=conversation.stream,
            limits=() if conversation.max_tokens is None else ("max_tokens",),
            request_id=asking.request_id,
        )
        return await self._relay.open(
            asking.tenant, upstreams, request, max_bytes=asking.max_picture_bytes
        )


async def _local(answer: WholeAnswer) -> AsyncGenerator[Piece | WholeAnswer]:
    for text in pieces(answer.text, PIECE):
        yield Piece(text)
    yield answer


async def _relayed(events: AsyncGenerator[bytes]) -> AsyncGenerator[Piece | WholeAnswer]:
    reader = AnswerReader()
    async with aclosing(events):
        async for event in events:
            for piece in reader.feed(event):
                yield piece
    yield reader.answer()


def _written(conversation: Conversation) -> bytes:
    fields = request_of(conversation)
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def _whole(completion: bytes) -> WholeAnswer:
    return answer_of(json.loads(completion))


def _whole_of(answer: ChatAnswer) -> WholeAnswer:
    """Of the local model, whose text are the arguments where it calls a tool."""
    calls = () if answer.tool is None else (ToolInvocation("", answer.tool, answer.text),)
    return WholeAnswer(
        answer.model,
        "" if calls else answer.text,
        answer.finish,
        calls,
        "",
        answer.use.prompt,
        answer.use.completion,
    )
