"""Any page may ask here: a key comes in a header, so one that has no key gets nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_ORIGIN = b"access-control-allow-origin"
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "X-API-Key, Authorization, Content-Type",
    "Access-Control-Max-Age": "86400",
}


def add_headers(scope: Scope, headers: list[tuple[bytes, bytes]]) -> None:
    """Say so in the headers of an answer; errors say it already."""
    del scope
    if all(name.lower() != _ORIGIN for name, _ in headers):
        headers.append((_ORIGIN, b"*"))


async def preflight(scope: Scope, receive: Receive, send: Send) -> None:
    """Without a key: browsers send none here."""
    await Response(status_code=204, headers=_PREFLIGHT)(scope, receive, send)
