"""What the answers of the chat surface carry: limits as OpenAI calls them, and leave for browsers.

Keys come in a header, never in a cookie, so any page may ask: one that has no key gets nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

PREFIXES = ("/chat/", "/models", "/moderations", "/v1/", "/v2/")
"""Beginnings of paths that belong to this surface; what is not there is refused in its shape."""

_EXPOSED = (
    b"x-request-id, openai-processing-ms, retry-after, x-ratelimit-limit-requests, "
    b"x-ratelimit-remaining-requests, x-ratelimit-reset-requests"
)


def add_headers(scope: Scope, headers: list[tuple[bytes, bytes]]) -> None:
    """Complete the ``headers`` of an answer to this request."""
    rate = scope["state"].get("rate")
    if rate is not None:
        left = max(0, round(rate.reset - time.time()))
        headers += [
            (b"x-ratelimit-limit-requests", b"%d" % rate.limit),
            (b"x-ratelimit-remaining-requests", b"%d" % rate.remaining),
            (b"x-ratelimit-reset-requests", duration(left)),
        ]
    for name, _ in scope["headers"]:
        if name == b"origin":
            headers += [
                (b"access-control-allow-origin", b"*"),
                (b"access-control-expose-headers", _EXPOSED),
            ]
            break


async def preflight(scope: Scope, receive: Receive, send: Send) -> None:
    """Any page may ask for anything that we understand."""
    asked = next(
        (value for name, value in scope["headers"] if name == b"access-control-request-headers"),
        b"authorization, content-type",
    )
    headers = {
        "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
        "Access-Control-Allow-Headers": asked.decode("latin-1"),
        "Access-Control-Max-Age": "86400",
    }
    await Response(status_code=204, headers=headers)(scope, receive, send)


def duration(seconds: int) -> bytes:
    """As OpenAI writes it.

    >>> duration(7), duration(360)
    (b'7s', b'6m0s')
    """
    minutes, seconds = divmod(seconds, 60)
    return b"%dm%ds" % (minutes, seconds) if minutes else b"%ds" % seconds
