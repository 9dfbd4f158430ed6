"""The middleware of all answers: request id, rate-limit headers, access log, request log."""

from __future__ import annotations

import logging
import re
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from starlette.requests import Request

from ocelli.api.access_log import CLIENT_LEFT, Answered, route_of
from ocelli.api.dialects import dialect_of, errors_of
from ocelli.domain.correlation import REQUEST_ID
from ocelli.domain.request_log import LoggedRequest

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from ocelli.domain.rates import RateState

log = logging.getLogger(__name__)

_CLEAN_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


class Envelope:
    """Adds headers to answers and logs them. Pure ASGI, so that streamed bodies pass unchanged."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["request_id"] = _request_id(scope)
        REQUEST_ID.set(state["request_id"])
        dialect = dialect_of(scope["path"])
        status = CLIENT_LEFT
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
        except Exception as error:
            log.error("unexpected error", exc_info=error)
            if status != CLIENT_LEFT:  # the answer has begun: it is cut off
                raise
            await _unexpected(scope, receive, stamped)
        finally:
            seconds = time.perf_counter() - started
            route, key = route_of(scope), state.get("key")
            key_id = None if key is None else str(key.id)
            Answered(scope["method"], route, status, seconds, state["request_id"], key_id).note()
            if key is not None:
                scope["app"].state.services.request_log.note(
                    LoggedRequest(
                        key.tenant.id,
                        key.id,
                        datetime.now(UTC),
                        scope["method"],
                        route,
                        status,
                        round(seconds * 1000),
                        state.get("error_code"),
                    )
                )


async def _unexpected(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope)
    answer = errors_of(request).render_status(
        request, 500, "Something went wrong here. The request id is in our log."
    )
    await answer(scope, receive, send)


def _request_id(scope: Scope) -> str:
    """Return the client's request id if it is well-formed, else a new one."""
    headers = dict(scope["headers"])
    for name in (b"x-request-id", b"x-correlation-id"):
        text = headers.get(name, b"").decode("latin-1")
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
