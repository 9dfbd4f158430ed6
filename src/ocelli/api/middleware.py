"""The middleware of all answers: request id, span, rate-limit headers, access log, request log."""

from __future__ import annotations

import logging
import re
import time
import uuid
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from starlette.requests import Request

from ocelli.api.access_log import CLIENT_LEFT, METHODS, NO_ROUTE, PROBES, Answered, route_of
from ocelli.api.dialects import dialect_of, errors_of
from ocelli.domain.correlation import REQUEST_ID
from ocelli.domain.errors import error_type
from ocelli.domain.request_log import LoggedRequest
from ocelli.domain.tracing import NO_SPAN, TRACE_HEADERS, Span, SpanKind, TraceContext, span

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

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
        with _span_of(scope) as of_request:
            await self._answer(scope, receive, send, of_request)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, of_request: Span) -> None:
        state = scope["state"]
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
            of_request.fail(error_type(error))
            if status != CLIENT_LEFT:  # the answer has begun: it is cut off
                raise
            await _unexpected(scope, receive, stamped)
        finally:
            seconds = time.perf_counter() - started
            route, key = route_of(scope), state.get("key")
            key_id = None if key is None else str(key.id)
            Answered(scope["method"], route, status, seconds, state["request_id"], key_id).note()
            _describe(of_request, scope["method"], route, status)
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


def _span_of(scope: Scope) -> AbstractContextManager[Span]:
    """Give the span of a request, in the client's trace; none of what asks every few seconds."""
    if scope["path"] in PROBES:
        return nullcontext(NO_SPAN)
    attributes = {
        "http.request.method": _method(scope["method"]),
        "url.scheme": scope.get("scheme"),
        "ocelli.request_id": scope["state"]["request_id"],
    }
    return span("HTTP", SpanKind.SERVER, attributes, parent=_trace_context(scope))


def _describe(of_request: Span, method: str, route: str, status: int) -> None:
    known = None if route == NO_ROUTE else route
    of_request.rename(f"{_method(method, 'HTTP')} {known or ''}".rstrip())
    of_request.note(
        {
            "http.route": known,
            "http.response.status_code": None if status == CLIENT_LEFT else status,
        }
    )
    if status >= 500:
        of_request.fail(str(status))


def _method(method: str, other: str = "_OTHER") -> str:
    return method if method in METHODS else other


def _trace_context(scope: Scope) -> TraceContext:
    """Return what the client says of its trace; never baggage, which may hold anything."""
    return {
        name: value.decode("latin-1")
        for header, value in scope["headers"]
        if (name := header.decode("latin-1")) in TRACE_HEADERS
    }


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
