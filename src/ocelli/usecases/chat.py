"""Chat completions of the local model, whose answers are made from its findings in the pictures.

The API process loads no models: pictures are asked about like any other (see usecases.adhoc), by
workers, before everything else. What was found is remembered here, so that the later turns of a
conversation, which carry the same pictures again, do not look again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cachetools import LRUCache

from ocelli.domain.chat import (
    LONGEST_TOKEN,
    MAX_CONTEXT,
    ChatAnswer,
    Finish,
    TokenUse,
    count_picture,
    count_text,
    cut,
)
from ocelli.domain.chat_errors import ContextTooLong
from ocelli.domain.findings import LOCAL, Feature
from ocelli.domain.ports_chat import AnalysedPicture
from ocelli.domain.questions import Question
from ocelli.usecases.chat_pictures import picture_errors
from ocelli.usecases.concurrency import bounded_map

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.domain.accounts import Tenant
    from ocelli.domain.chat import Conversation, PictureRef
    from ocelli.domain.findings import Findings
    from ocelli.domain.ports_chat import Answerer
    from ocelli.usecases.adhoc import AdHocAnalyses
    from ocelli.usecases.chat_pictures import OpenedPicture, PictureLoader

REMEMBERED = 2_000
AT_ONCE = 16


class LocalChat:
    """Answers chat requests. ``timeout`` limits the analysis of one picture, in seconds."""

    def __init__(
        self,
        adhoc: AdHocAnalyses,
        pictures: PictureLoader,
        answerer: Answerer,
        *,
        timeout: float,
    ) -> None:
        self._adhoc = adhoc
        self._pictures = pictures
        self._answerer = answerer
        self._timeout = timeout
        self._known: LRUCache[tuple[UUID, str, frozenset[Feature]], Findings] = LRUCache(REMEMBERED)

    async def complete(
        self, tenant: Tenant, conversation: Conversation, *, max_bytes: int
    ) -> ChatAnswer:
        """Return the answer. Raises ChatError, and what AdHocAnalyses.ask raises."""
        text_tokens, pictures, relevant = await asyncio.to_thread(self._read, conversation)
        opened = await self._pictures.open(tenant.id, pictures, max_bytes=max_bytes)
        check_length(text_tokens + picture_tokens(opened))
        analysed = await self.look(
            tenant, [each for each in opened if each.ref in relevant], frozenset(Feature)
        )
        reply = await asyncio.to_thread(self._answerer.reply, conversation, analysed)
        return answered(conversation, reply.text, opened, text_tokens=text_tokens, tool=reply.tool)

    async def look(
        self, tenant: Tenant, opened: Sequence[OpenedPicture], features: frozenset[Feature]
    ) -> list[AnalysedPicture]:
        """Return the findings of each picture, in their order; equal ones are analysed once."""

        async def one(picture: OpenedPicture) -> Findings:
            return await self._findings(tenant, picture, features)

        distinct = {picture.sha256: picture for picture in reversed(opened)}
        findings = await bounded_map(one, list(distinct.values()), at_once=AT_ONCE)
        found = dict(zip(distinct, findings, strict=True))
        return [
            AnalysedPicture(
                found[each.sha256],
                each.sha256,
                each.dhash,
                each.header.width,
                each.header.height,
            )
            for each in opened
        ]

    def _read(self, conversation: Conversation) -> tuple[int, list[PictureRef], list[PictureRef]]:
        """The tokens of its text, its pictures, and those that the question is about.

        Raises ChatError. For a thread.
        """
        self._answerer.check(conversation)
        tokens = count_prompt(conversation)
        return tokens, conversation.pictures, relevant_pictures(conversation, self._answerer)

    async def _findings(
        self, tenant: Tenant, picture: OpenedPicture, features: frozenset[Feature]
    ) -> Findings:
        for wide in (features, frozenset(Feature)):
            known = self._known.get((tenant.id, picture.sha256, wide))
            if known is not None:
                return known
        question = Question(features=features, backends=(LOCAL,))
        with picture_errors(picture.ref):
            asked = await self._adhoc.ask(tenant, picture.data, question)
            done = await self._adhoc.answered(tenant.id, asked.id, timeout=self._timeout)
        self._known[tenant.id, picture.sha256, features] = done.findings[0]
        return done.findings[0]


def count_prompt(conversation: Conversation) -> int:
    """Return the tokens of the texts. Raises ContextTooLong.

    For a thread: ten thousand messages of a letter take 40 ms.
    """
    length = sum(len(message.text) for message in conversation.messages)
    if length > MAX_CONTEXT * LONGEST_TOKEN:
        raise ContextTooLong(
            f"This model's maximum context length is {MAX_CONTEXT} tokens; your messages have "
            f"{length} characters.",
            param="messages",
        )
    return check_length(count_text(conversation.messages))


def relevant_pictures(conversation: Conversation, answerer: Answerer) -> list[PictureRef]:
    """Return the pictures that a question is about: those of its message, if there are any.

    To compare takes two, so a single one is compared with all that came before.
    """
    shown = conversation.shown_last
    if not shown or (len(shown) == 1 and answerer.compares(conversation.question)):
        return conversation.pictures
    return shown


def answered(
    conversation: Conversation,
    text: str,
    opened: Sequence[OpenedPicture],
    *,
    text_tokens: int,
    tool: str | None = None,
) -> ChatAnswer:
    """Return ``text`` as the local model's answer, cut as the request wants it, and counted."""
    text, finish, count = cut(
        text, stop=() if tool else conversation.stop, max_tokens=conversation.max_tokens
    )
    if tool and finish is Finish.STOP:
        finish = Finish.TOOL_CALLS
    use = TokenUse(text_tokens, picture_tokens(opened), count * conversation.n)
    return ChatAnswer(LOCAL, text, finish, conversation.n, use, tool)


def picture_tokens(opened: Sequence[OpenedPicture]) -> int:
    """Return what the pictures of a conversation count in tokens."""
    return sum(
        count_picture(each.header.width, each.header.height, each.ref.detail) for each in opened
    )


def check_length(tokens: int) -> int:
    """Return ``tokens``. Raises ContextTooLong if they are too many."""
    if tokens > MAX_CONTEXT:
        raise ContextTooLong(
            f"This model's maximum context length is {MAX_CONTEXT} tokens, pictures included; "
            f"your messages have {tokens}.",
            param="messages",
        )
    return tokens
