"""Whose word on the client's address counts."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import Request

from ocelli.api.connections import Connections
from ocelli.api.proxies import ForwardedAddress

PROXIES = Connections(max_connections=1, per_address=1, proxies=["10.0.0.0/8"])


async def address(peer: str, **forwarded: str) -> str:
    headers = {f"x-forwarded-{name}": value for name, value in forwarded.items()}
    return str(Request(await seen_by(peer, headers)).base_url)


async def client(peer: str, **headers: str) -> str | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    asking = Request(await seen_by(peer, named)).client
    return asking.host if asking else None


async def seen_by(peer: str, fields: dict[str, str]) -> dict[str, Any]:
    seen: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        del receive, send
        seen.append(scope)

    headers = [(b"host", b"inside:8000")]
    headers += [(name.encode(), value.encode()) for name, value in fields.items()]
    scope: dict[str, Any] = {"type": "http", "scheme": "http", "path": "/", "headers": headers}
    scope |= {"client": (peer, 1234), "server": ("inside", 8000), "query_string": b""}
    await ForwardedAddress(app, PROXIES.is_proxy)(scope, None, None)  # type: ignore[arg-type]
    return seen[0]


async def test_a_proxy_is_believed() -> None:
    said = {"proto": "https", "host": "vision.example.com:8443"}
    assert await address("10.1.2.3", **said) == "https://vision.example.com:8443/"
    said = {"proto": "https, http", "host": "a.example.com, b.internal"}
    assert await address("10.1.2.3", **said) == "https://a.example.com/"


@pytest.mark.parametrize("peer", ["203.0.113.7", "2001:db8::1", "", "10.1.2.3.example.com"])
async def test_nobody_else_is(peer: str) -> None:
    said = {"proto": "https", "host": "evil.example.com", "for": "10.1.2.3", "prefix": "/evil"}
    assert await address(peer, **said) == "http://inside:8000/"


@pytest.mark.parametrize("host", ["", "a b", "a/b", "a@b", "x" * 300, "a\r\nb"])
async def test_what_is_no_host_is_none(host: str) -> None:
    said = {"proto": "javascript", "host": host}
    assert await address("10.1.2.3", **said) == "http://inside:8000/"


async def test_who_is_behind_a_proxy() -> None:
    assert await client("10.1.2.3", x_forwarded_for="203.0.113.9") == "203.0.113.9"
    assert await client("10.1.2.3", x_forwarded_for="127.0.0.1, 203.0.113.9") == "203.0.113.9"
    assert await client("10.1.2.3", x_forwarded_for="203.0.113.9, 10.0.0.9") == "203.0.113.9"
    assert await client("10.1.2.3", x_forwarded_for="2001:db8::1") == "2001:db8::1"
    assert await client("10.1.2.3") == "10.1.2.3"
    assert await client("203.0.113.7", x_forwarded_for="127.0.0.1") == "203.0.113.7"


@pytest.mark.parametrize(
    "headers",
    [
        {"x_forwarded_for": "10.0.0.9"},
        {"x_forwarded_for": "unknown"},
        {"x_forwarded_for": ""},
        {"x_forwarded_for": "203.0.113.9, unknown"},
        {"x_real_ip": "127.0.0.1"},
        {"forwarded": "for=127.0.0.1"},
        {"via": "1.1 front"},
        {"x_forwarded_proto": "https"},
    ],
)
async def test_a_proxy_that_does_not_say_for_whom_it_asks(headers: dict[str, str]) -> None:
    assert await client("10.1.2.3", **headers) is None
