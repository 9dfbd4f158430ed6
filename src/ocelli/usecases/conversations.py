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
from ocelli.usecases.chat_levels import unverified
from ocelli.usecases.chat_relay import RelayRequest
from ocelli.usecases.chat_translation import AnswerReader, answer_of, request_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from ocelli.domain.accounts import Tenant
    from ocelli.domain.chat import ChatAnswer, Conversation, LevelReport
    from ocelli.domain.ports_chat import ChatUpstream
    from ocelli.usecases.chat import LocalChat
    from ocelli.usecases.chat_levels import VerifiedChat
    from ocelli.usecases.chat_models import ChatModels, ChatTarget
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

    def __init__(
        self, models: ChatModels, local: LocalChat, verified: VerifiedChat, relay: Relay
    ) -> None:
        self._models = models
        self._local = local
        self._verified = verified
        self._relay = relay

    async def answer(self, asking: Asking, conversation: Conversation) -> WholeAnswer:
        """All at once. Raises ModelNotFound, and see ``begin``."""
        conversation = replace(conversation, stream=False)
        target = self._models.resolve(conversation.model)
        ours = await self._of_ours(asking, conversation, target)
        if ours is not None:
            return ours
        relayed = await self._open(asking, conversation, target.upstreams)
        try:
            answer = await asyncio.to_thread(_whole, relayed.body)
            return replace(answer, report=unverified(target))
        finally:
            relayed.close()

    async def begin(self, asking: Asking, conversation: Conversation) -> Answering:
        """Once its first part is known: whatever can be wrong with a request is found before.

        Raises ChatError, UsageLimitExceeded, and what AdHocAnalyses.ask raises; ``parts`` raise
        UpstreamError.
        """
        conversation = replace(conversation, stream=True)
        target = self._models.resolve(conversation.model)
        ours = await self._of_ours(asking, conversation, target)
        if ours is not None:
            return Answering(_local(ours), lambda: None)
        relayed = await self._open(asking, conversation, target.upstreams)
        assert relayed.events is not None
        return Answering(_relayed(relayed.events, unverified(target)), relayed.close)

    async def _of_ours(
        self, asking: Asking, conversation: Conversation, target: ChatTarget
    ) -> WholeAnswer | None:
        """Return a verified description, or the local model's answer; None if a backend answers."""
        max_bytes = asking.max_picture_bytes
        verified = await self._verified.complete(
            asking.tenant, conversation, target, max_bytes=max_bytes
        )
        if verified is not None:
            return _whole_of(verified)
        if target.upstreams:
            return None
        answer = await self._local.complete(asking.tenant, conversation, max_bytes=max_bytes)
        return _whole_of(replace(answer, report=unverified(target)))

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


async def _relayed(
    events: AsyncGenerator[bytes], report: LevelReport | None
) -> AsyncGenerator[Piece | WholeAnswer]:
    reader = AnswerReader()
    async with aclosing(events):
        async for event in events:
            for piece in reader.feed(event):
                yield piece
    yield replace(reader.answer(), report=report)


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
        answer.report,
    )
