"""Leave for pages of other hosts to ask.

Keys come in a header, never in a cookie, so any page may ask: one that has no key gets nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


def allow(scope: Scope, headers: list[tuple[bytes, bytes]], *, exposed: bytes) -> None:
    """Add to the ``headers`` of an answer that a page may read it, those ``exposed`` too."""
    if any(name == b"origin" for name, _ in scope["headers"]):
        headers += [
            (b"access-control-allow-origin", b"*"),
            (b"access-control-expose-headers", exposed),
        ]


async def preflight(scope: Scope, receive: Receive, send: Send) -> None:
    """Any page may ask for anything that we understand."""
    asked = next(
        (value for name, value in scope["headers"] if name == b"access-control-request-headers"),
        b"authorization, content-type",
    )
    headers = {
        "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS",
        "Access-Control-Allow-Headers": asked.decode("latin-1"),
        "Access-Control-Max-Age": "86400",
    }
    await Response(status_code=204, headers=headers)(scope, receive, send)
