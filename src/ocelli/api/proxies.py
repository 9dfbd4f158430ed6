"""Forwarded addresses of trusted reverse proxies."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Callable
    from ipaddress import IPv4Address, IPv6Address

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HOST = re.compile(rb"[A-Za-z0-9.:_\[\]-]{1,255}")
_SCHEMES = (b"http", b"https")
_FOR = b"x-forwarded-for"
# Each says that the request came through a proxy.
_TRACES = (b"forwarded", b"via", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip")


class ForwardedAddress:
    """Replaces scheme and host by ``X-Forwarded-Proto`` and ``X-Forwarded-Host``.

    Only from peers for which ``is_proxy`` holds. Of a list the first counts, that of the proxy
    next to the client. Pure ASGI. ``scope["client"]`` becomes whom ``X-Forwarded-For`` names, and
    None where a proxy does not say for whom it asks.
    """

    def __init__(self, app: ASGIApp, is_proxy: Callable[[str], bool]) -> None:
        self._app = app
        self._is_proxy = is_proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if (
            scope["type"] == "http"
            and (client := scope.get("client"))
            and self._is_proxy(client[0])
        ):
            scope["client"] = _client(scope, client, self._is_proxy)
            scheme, host = (_first(scope, name) for name in (b"proto", b"host"))
            if scheme in _SCHEMES:
                scope["scheme"] = scheme.decode()
            if _HOST.fullmatch(host):
                others = [field for field in scope["headers"] if field[0] != b"host"]
                scope["headers"] = [*others, (b"host", host)]
        await self._app(scope, receive, send)


class PathRedirects:
    """Makes the redirects of a router, which add a slash or remove one, paths: with a proxy's
    prefix, and without a host, which anyone can name.

    A router knows the path without the prefix. All other redirects are made with the public
    address. Pure ASGI.
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""

        async def prefixed(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 307:
                message["headers"] = [
                    (name, self._with_prefix(value, scope) if name == b"location" else value)
                    for name, value in message["headers"]
                ]
            await send(message)

        await self._app(scope, receive, prefixed if scope["type"] == "http" else send)

    def _with_prefix(self, location: bytes, scope: Scope) -> bytes:
        parts = urlsplit(location.decode("latin-1"))
        is_other = unquote(parts.path).rstrip("/") != scope["path"].rstrip("/")
        path = self._prefix + parts.path
        if is_other or path.startswith("//"):  # that would be a host
            return location
        return urlunsplit(("", "", path, parts.query, "")).encode("latin-1")


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """None if it is no address; an IPv4 address in the clothes of IPv6 is one of IPv4."""
    try:
        parsed = ip_address(text)
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def _client(
    scope: Scope, peer: tuple[str, int], is_proxy: Callable[[str], bool]
) -> tuple[str, int] | None:
    """Who is behind a proxy: the last whom its list names that is none itself.

    What stands before that one, the client itself may have written.
    """
    names = {name for name, _ in scope["headers"]}
    if _FOR not in names:
        return None if names.intersection(_TRACES) else peer
    said = b",".join(value for name, value in scope["headers"] if name == _FOR)
    for each in reversed(said.decode("latin-1").split(",")):
        address = each.strip()
        if parse_address(address) is None:
            return None
        if not is_proxy(address):
            return (address, 0)
    return None


def _first(scope: Scope, name: bytes) -> bytes:
    values = (value for field, value in scope["headers"] if field == b"x-forwarded-" + name)
    value: bytes = next(values, b"")
    return value.partition(b",")[0].strip()
