"""Whose word on the client's address counts."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import Request

from ocelli.api.connections import Connections
from ocelli.api.proxies import ForwardedAddress

PROXIES = Connections(most=1, per_address=1, proxies=["10.0.0.0/8"])


async def address(peer: str, **forwarded: str) -> str:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        del receive, send
        seen.append(str(Request(scope).base_url))

    headers = [(b"host", b"inside:8000")]
    headers += [(f"x-forwarded-{k}".encode(), v.encode()) for k, v in forwarded.items()]
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
