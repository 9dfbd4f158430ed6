"""What every answer gets: a request id, rate-limit headers, a place in the metrics."""

from __future__ import annotations

import re
import time
import uuid
from typing import TYPE_CHECKING

from prometheus_client import Counter, Histogram

from ocelli.api.dialects import dialect_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from ocelli.domain.rates import RateState

_CLEAN_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")

REQUESTS = Counter("ocelli_http_requests_total", "Answers given.", ["handler", "status"])
SECONDS = Histogram(
    "ocelli_http_request_seconds",
    "Time from the first byte of a request to the last of its answer.",
    ["handler"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


class Envelope:
    """Pure ASGI, so that streamed bodies pass untouched."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["request_id"] = _request_id(scope)
        dialect = dialect_of(scope["path"])
        status = 500
        started = time.perf_counter()

        async def stamped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message.setdefault("headers", [])
                headers.append((b"x-request-id", state["request_id"].encode()))
                headers.extend(_rate_headers(state.get("rate")))
                if dialect is not None and dialect.add_headers is not None:
                    dialect.add_headers(scope, headers)
            await send(message)

        try:
            app = self._app
            if dialect is not None and dialect.preflight is not None:
                app = dialect.preflight if scope["method"] == "OPTIONS" else app
            await app(scope, receive, stamped)
        finally:
            handler = getattr(scope.get("endpoint"), "__name__", "none")
            REQUESTS.labels(handler, status).inc()
            SECONDS.labels(handler).observe(time.perf_counter() - started)


def _request_id(scope: Scope) -> str:
    """The client's own, if it is harmless."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            text = value.decode("latin-1")
            if _CLEAN_ID.fullmatch(text):
                return str(text)
    return str(uuid.uuid4())


def _rate_headers(rate: RateState | None) -> list[tuple[bytes, bytes]]:
    if rate is None:
        return []
    return [
        (b"x-ratelimit-limit", str(rate.limit).encode()),
        (b"x-ratelimit-remaining", str(rate.remaining).encode()),
        (b"x-ratelimit-reset", str(rate.reset).encode()),
    ]
