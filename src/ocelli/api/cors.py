"""Leave for pages of other hosts to ask.

Keys come in a header, never in a cookie, so any page may ask: one that has no key gets nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_ORIGIN = b"access-control-allow-origin"


@dataclass(frozen=True, slots=True)
class CrossOrigin:
    """What a surface lets pages do.

    ``allowed`` are the headers that they may send; None: those that they ask for. ``exposed`` are
    those that they may read. ``always`` says so also where no page asks.
    """

    allowed: str | None = None
    methods: str = "GET, POST, DELETE, OPTIONS"
    exposed: bytes = b""
    always: bool = False

    def add_headers(self, scope: Scope, headers: list[tuple[bytes, bytes]]) -> None:
        """Add to the ``headers`` of an answer that a page may read it."""
        if not self.always and all(name != b"origin" for name, _ in scope["headers"]):
            return
        if all(name.lower() != _ORIGIN for name, _ in headers):
            headers.append((_ORIGIN, b"*"))
        if self.exposed:
            headers.append((b"access-control-expose-headers", self.exposed))

    async def preflight(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer OPTIONS, without a key: browsers send none here."""
        asked = next(
            (
                value
                for name, value in scope["headers"]
                if name == b"access-control-request-headers"
            ),
            b"authorization, content-type",
        )
        headers = {
            "Access-Control-Allow-Methods": self.methods,
            "Access-Control-Allow-Headers": self.allowed or asked.decode("latin-1"),
            "Access-Control-Max-Age": "86400",
        }
        await Response(status_code=204, headers=headers)(scope, receive, send)
