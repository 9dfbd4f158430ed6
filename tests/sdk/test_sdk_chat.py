"""Conversations through the clients: with a real server, and with streams that break off."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any

import pytest
from aiohttp import web
from tests.conftest import Server
from tests.sdk.sdk_server import KEY
from tests.waiting import PATIENCE, until

from aion import (
    AionVision,
    ChatError,
    ChatSession,
    ChatToken,
    ChatTokenType,
    MessageRole,
    QuotaExceededError,
    ResourceNotFoundError,
    SSEStreamError,
    SyncAionVision,
    ValidationError,
)
from aion._errors import error_from_answer
from aion._retry import is_transient
from ocelli.cli.demo import sample_photos


@pytest.fixture(scope="module")
def library(real_server: Server) -> Iterator[tuple[SyncAionVision, str, str]]:
    """A tenant with a described picture, its key, and the picture's id."""
    key = real_server.new_key(f"chats-{uuid.uuid4()}")
    (coffee,) = (path for path in sample_photos() if path.stem == "coffee")
    with SyncAionVision(key, base_url=real_server.url) as client:
        sent = client.upload_one(coffee, verification_level="quick")
        until(lambda: client.agent_search.images("a hot drink").count)
        yield client, key, sent.image_id


def test_a_conversation(library: tuple[SyncAionVision, str, str]) -> None:
    client, _, image_id = library
    with client.chat_session(title="Drinks") as session:
        answer = session.send("Show me something hot to drink")
        assert answer.session_id == session.session_id
        assert answer.images is not None
        assert [each.image_id for each in answer.images] == [image_id]
        assert answer.as_collection().ids == [image_id]
        assert answer.references.images[0].full_id == image_id
        assert "[[" not in answer.resolved_content
        assert answer.provider == "ocelli-local"
        counted = session.send("How many pictures do I have?")
        assert counted.resolved_content == "There is 1 picture."
        assert [each.role for each in session.get_messages(2)] == [
            MessageRole.USER,
            MessageRole.ASSISTANT,
        ]
        again = session.send("Describe the first picture", force_detailed_analysis=True)
        assert again.metadata is not None
        assert again.metadata["vision_used"] is True
        assert len(client.files.get(image_id).full_descriptions) == 2
        chosen = session.update_images([image_id])
        assert chosen["selected_image_ids"] == [image_id]
        assert client.chats.update_mode(session.session_id, True)["use_all_images"] is True
        assert client.chats.rename_session(session.session_id, "Cups")["title"] == "Cups"
        detail = client.chats.get_session(session.session_id)
        assert detail.as_collection().ids == [image_id]
        assert detail.messages[1].result_refs["search_1"].count >= 0
        assert detail.messages[1].as_collection().ids == [image_id]
    assert session.is_closed
    with pytest.raises(RuntimeError):
        session.send("Hello")
    with pytest.raises(ChatError) as closed:
        client.chat("Hello", session_id=session.session_id)
    assert closed.value.details["session_id"] == session.session_id
    assert closed.value.code == "SESSION_CLOSED"
    listed = client.chats.list_sessions()
    assert listed.items[0].title == "Cups"
    newest = next(iter(client.chats.iter_sessions(page_size=1)))
    assert newest.id == listed.items[0].id
    assert not client.chats.list_sessions(active_only=True).items
    found = client.chats.search_images("a hot drink")
    assert [(each.image_id, each.filename) for each in found] == [(image_id, "")]
    assert client.chats.get_all_images().as_collection().ids == [image_id]
    with pytest.raises(ResourceNotFoundError):
        client.chats.get_session(str(uuid.uuid4()))
    with pytest.raises(ValidationError):
        client.chats.rename_session(session.session_id, "x" * 256)
    left = client.chat_session(auto_close=False)
    assert client.close_session(left.session_id)["session_id"] == left.session_id


async def test_a_streamed_answer(
    real_server: Server, library: tuple[SyncAionVision, str, str]
) -> None:
    _, key, image_id = library
    async with AionVision(key, base_url=real_server.url) as client:
        async with client.chat_session(image_ids=[image_id], use_all_images=False) as session:
            said, whole = "", ""
            async for token in session.send_stream("What's in these images?"):
                if token.type == ChatTokenType.TOKEN:
                    said += token.content or ""
                elif token.type == ChatTokenType.COMPLETE:
                    whole = token.content or ""
                    assert token.references is not None
                    assert token.references.images[0].full_id == image_id
                else:
                    assert token.resolved_content is None
            assert said == whole != ""
        async with aclosing(client.chat_stream("Hi", session_id=session.session_id)) as tokens:
            with pytest.raises(ChatError):
                await anext(tokens)


class Streams:
    """A server whose streams end as ``script`` says, and whose session holds ``stored``."""

    def __init__(self) -> None:
        self.script: list[bytes] = []
        self.stored: list[dict[str, Any]] = []
        self.left = asyncio.Event()
        self.waits = False

    async def stream(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        for piece in self.script:
            await answer.write(piece)
        if self.waits:
            try:
                while True:
                    await answer.write(b": waiting\n\n")
                    await asyncio.sleep(0.01)
            except (ConnectionError, asyncio.CancelledError):
                self.left.set()
                raise
        assert request.transport is not None
        request.transport.abort()
        return answer

    async def session(self, _: web.Request) -> web.Response:
        return web.json_response({"session": {"id": "s", "title": "t"}, "messages": self.stored})


def frame(type: str, **fields: Any) -> bytes:
    return f"event: {type}\ndata: {json.dumps({'type': type, **fields})}\n\n".encode()


async def collect(streams: Streams, *, most: int = 100) -> list[ChatToken]:
    app = web.Application()
    app.router.add_post("/api/v2/chat/sessions/s/messages/stream", streams.stream)
    app.router.add_get("/api/v2/chat/sessions/s", streams.session)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    tokens: list[ChatToken] = []
    try:
        async with AionVision(KEY, base_url=f"http://{host}:{port}", retry_delay=0.01) as client:
            async with aclosing(client.chat_stream("Hi", session_id="s")) as stream:
                async for token in stream:
                    tokens.append(token)
                    if len(tokens) == most:
                        break
            if streams.waits:
                await asyncio.wait_for(streams.left.wait(), PATIENCE)
    finally:
        await runner.cleanup()
    return tokens


async def test_events_of_the_future_are_passed_over() -> None:
    streams = Streams()
    streams.script = [frame("document_results"), frame("ping"), frame("complete", content="x")]
    assert [token.type for token in await collect(streams)] == ["ping", "complete"]


async def test_a_stream_that_breaks_off_is_looked_up() -> None:
    streams = Streams()
    streams.script = [frame("connection", message_id="m"), frame("token", content="Th")]
    streams.stored = [{"id": "m", "role": "assistant", "content": "There [[ref:a]]."}]
    streams.stored[0]["metadata"] = {"result_refs": {"a": {"count": 2}}}
    tokens = await collect(streams)
    assert [token.type for token in tokens][-2:] == ["reconnecting", "complete"]
    assert tokens[-1].resolved_content == "There 2."
    streams.stored = []
    with pytest.raises(SSEStreamError) as lost:
        await collect(streams)
    assert lost.value.events_received == 2
    assert lost.value.reconnect_attempts == 1


async def test_who_leaves_the_loop_closes_the_stream() -> None:
    streams = Streams()
    streams.waits = True
    streams.script = [frame("connection", message_id="m")]
    assert len(await collect(streams, most=1)) == 1


def test_a_used_up_session_is_not_asked_again() -> None:
    body = b'{"error": {"code": "USAGE_LIMIT_EXCEEDED", "message": "full"}}'
    error = error_from_answer(429, {}, body, "/chat/sessions/s/messages")
    assert isinstance(error, QuotaExceededError)
    assert not is_transient(error)


def test_sessions_are_read_from_either_id() -> None:
    made = ChatSession.from_api_response({"session_id": "a", "title": "t"}, use_all_images=False)
    assert (made.id, made.use_all_images, made.to_dict()["title"]) == ("a", False, "t")
