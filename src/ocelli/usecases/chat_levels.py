"""Descriptions through chat, verified at the level that a model's name asks for (``NAME:LEVEL``).

The one place that decides which questions those are, for all surfaces of chat.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from ocelli.domain.chat import LevelReport
from ocelli.usecases.chat import (
    AT_ONCE,
    answered,
    check_length,
    count_prompt,
    picture_tokens,
    relevant_pictures,
)
from ocelli.usecases.chat_pictures import picture_errors
from ocelli.usecases.concurrency import bounded_map

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.domain.accounts import Tenant
    from ocelli.domain.analysis import Analysis
    from ocelli.domain.chat import ChatAnswer, Conversation
    from ocelli.domain.ports_chat import Answerer
    from ocelli.domain.questions import Question
    from ocelli.usecases.adhoc import AdHocAnalyses
    from ocelli.usecases.chat_models import ChatTarget
    from ocelli.usecases.chat_pictures import OpenedPicture, PictureLoader

NOTHING = "Nothing was recognised."


class VerifiedChat:
    """Describes pictures of conversations. ``timeout`` limits each analysis, in seconds."""

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

    async def complete(
        self, tenant: Tenant, conversation: Conversation, target: ChatTarget, *, max_bytes: int
    ) -> ChatAnswer | None:
        """Return the verified description of the pictures that the conversation is about.

        None without a level, and for another question: it is to be answered as without a level,
        with ``unverified`` as the report. Raises ChatError, and what AdHocAnalyses.ask raises.
        """
        if target.level is None:
            return None
        question = await asyncio.to_thread(self._answerer.description_request, conversation)
        if question is None:
            return None
        question = replace(question, backends=(target.backend,))
        text_tokens = await asyncio.to_thread(count_prompt, conversation)
        opened = await self._pictures.open(tenant.id, conversation.pictures, max_bytes=max_bytes)
        check_length(text_tokens + picture_tokens(opened))
        wanted = await asyncio.to_thread(relevant_pictures, conversation, self._answerer)
        analyses = await self._described(
            tenant, [each for each in opened if each.ref in wanted], question, target
        )
        answer = answered(conversation, _told(analyses), opened, text_tokens=text_tokens)
        source = analyses[0].findings[0].source if analyses[0].findings else target.backend
        return replace(
            answer, model=f"{source}:{target.level}", report=LevelReport(target.level, analyses)
        )

    async def _described(
        self,
        tenant: Tenant,
        opened: Sequence[OpenedPicture],
        question: Question,
        target: ChatTarget,
    ) -> tuple[Analysis, ...]:
        """Return the analysis of each picture, in their order; equal ones are analysed once."""
        level = target.level
        assert level is not None

        async def one(picture: OpenedPicture) -> Analysis:
            with picture_errors(picture.ref):
                asked = await self._adhoc.ask(tenant, picture.data, question, level=level)
                return await self._adhoc.answered(tenant.id, asked.id, timeout=self._timeout)

        distinct = {picture.sha256: picture for picture in reversed(opened)}
        analyses = await bounded_map(one, list(distinct.values()), at_once=AT_ONCE)
        found = dict(zip(distinct, analyses, strict=True))
        return tuple(found[each.sha256] for each in opened)


def unverified(target: ChatTarget) -> LevelReport | None:
    """Return the report of an answer as without a level; None where no level was asked for."""
    return None if target.level is None else LevelReport(target.level)


def _told(analyses: Sequence[Analysis]) -> str:
    texts = [each.description or NOTHING for each in analyses]
    if len(texts) == 1:
        return texts[0]
    return "\n".join(f"Picture {number}: {text}" for number, text in enumerate(texts, 1))
