"""What reverse proxies say of the address that the client used."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

_HOST = re.compile(rb"[A-Za-z0-9.:_\[\]-]{1,255}")
_SCHEMES = (b"http", b"https")


class ForwardedAddress:
    """Puts ``X-Forwarded-Proto`` and ``X-Forwarded-Host`` in place of the request's own.

    Only from peers that ``is_proxy`` knows; pure ASGI. Of a list the first counts: that proxy
    heard the client itself.
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
            scheme, host = (_first(scope, name) for name in (b"proto", b"host"))
            if scheme in _SCHEMES:
                scope["scheme"] = scheme.decode()
            if _HOST.fullmatch(host):
                others = [field for field in scope["headers"] if field[0] != b"host"]
                scope["headers"] = [*others, (b"host", host)]
        await self._app(scope, receive, send)


def _first(scope: Scope, name: bytes) -> bytes:
    values = (value for field, value in scope["headers"] if field == b"x-forwarded-" + name)
    value: bytes = next(values, b"")
    return value.partition(b",")[0].strip()
