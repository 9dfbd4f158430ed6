"""Bodies that stop coming: nobody may hold a connection open for ever by sending half of one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from tests.waiting import PATIENCE

from ocelli.api import bodies
from ocelli.domain.errors import MalformedRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Message

HALF = {"type": "http.request", "body": b'{"name": ', "more_body": True}
REST = {"type": "http.request", "body": b'"a"}', "more_body": False}
SLOWLY = (*({"type": "http.request", "body": b" ", "more_body": True},) * 4, HALF, REST)


def arriving(*messages: Message, pause: float) -> Callable[[], Awaitable[Message]]:
    """A client that sends these, with a pause before each, and then nothing more."""
    coming = iter(messages)

    async def receive() -> Message:
        await asyncio.sleep(pause)
        for message in coming:
            return message
        await asyncio.Event().wait()
        raise AssertionError

    return receive


def scope(path: str) -> dict[str, Any]:
    return {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"content-length", b"17"), (b"content-type", b"application/json")],
    }


async def status_of(
    receive: Callable[[], Awaitable[Message]],
    path: str = "/api/v2/things",
    *headers: tuple[bytes, bytes],
) -> int:
    app = FastAPI()

    @app.post("/api/v2/things")
    @app.post("/api/fetch")
    async def things(body: dict[str, str]) -> dict[str, str]:
        return body

    app.add_middleware(bodies.WholeBodies)
    answered: list[int] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answered.append(message["status"])

    asked = scope(path)
    asked["headers"] += headers
    await asyncio.wait_for(app(asked, receive, send), PATIENCE)
    return answered[0]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "IDLE_TIMEOUT", 1.0)


async def test_json_that_stops_coming_is_answered() -> None:
    assert await status_of(arriving(HALF, pause=0.0)) == 408


async def test_what_is_read_for_its_idempotency_key_has_to_come_too() -> None:
    key = (b"idempotency-key", b"mine")
    assert await status_of(arriving(HALF, pause=0.0), "/api/fetch", key) == 408
    assert await status_of(arriving(*SLOWLY, pause=0.25), "/api/fetch", key) == 200


async def test_json_that_comes_slowly_is_waited_for() -> None:
    assert await status_of(arriving(*SLOWLY, pause=0.25)) == 200


async def test_a_raw_body_that_stops_coming_is_refused() -> None:
    with pytest.raises(MalformedRequest, match="No data came"):
        await bodies._read(Request(scope("/chat"), arriving(HALF, pause=0.0)), 1000)


async def test_a_raw_body_that_comes_slowly_is_waited_for() -> None:
    request = Request(scope("/chat"), arriving(*SLOWLY, pause=0.25))
    assert await bodies._read(request, 1000) == b'    {"name": "a"}'
