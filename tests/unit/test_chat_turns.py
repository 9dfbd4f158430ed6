"""Conversations with the local model: what grows with them is done in threads."""

from __future__ import annotations

import threading
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from ocelli.backends.local.conversation.answerer import LocalAnswerer
from ocelli.backends.local.conversation.question_answering import NO_PICTURE
from ocelli.domain.accounts import Tenant, Tier
from ocelli.domain.chat import ChatMessage, Conversation, count_text
from ocelli.usecases.chat import LocalChat
from ocelli.usecases.chat_pictures import PictureLoader

if TYPE_CHECKING:
    import pytest

    from ocelli.domain.ports_fetch import Fetcher
    from ocelli.usecases.adhoc import AdHocAnalyses
    from ocelli.usecases.decoders import DecoderPool


async def test_many_short_messages_are_counted_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    count, threads = count_text, set[int]()

    def counted(messages: tuple[ChatMessage, ...]) -> int:
        threads.add(threading.get_ident())
        return count(messages)

    monkeypatch.setattr("ocelli.usecases.chat.count_text", counted)
    pictures = PictureLoader(cast("Fetcher", None), cast("DecoderPool", None), max_bytes=1)
    local = LocalChat(cast("AdHocAnalyses", None), pictures, LocalAnswerer(), timeout=1.0)
    said = Conversation("ocelli-local", (ChatMessage("user", ("a",)),) * 9_999)
    tenant = Tenant(uuid.uuid4(), "t", Tier.FREE, datetime.now(UTC))
    answered = await local.complete(tenant, said, max_bytes=1)
    assert answered.text == NO_PICTURE
    assert threads
    assert threading.get_ident() not in threads
