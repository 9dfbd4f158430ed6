"""Bodies that FastAPI reads: whole, into memory, and before the key is checked."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request

from ocelli.api import json_reader
from ocelli.api.auth import current_services, presented
from ocelli.api.dialects import errors_of
from ocelli.api.raw import (
    IDLE_TIMEOUT,
    is_small,
    joined,
    room_for,
    wants_its_answer_kept,
)
from ocelli.domain.accounts import MEGABYTE
from ocelli.domain.errors import OcelliError, ValidationFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PREFIX = "/api/v2/"
_STREAMED = "/api/v2/user-files/upload/"  # read in pieces, under bounds of their own


class JsonRoute(APIRoute):
    """FastAPI would parse a body on the event loop."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See FastAPI."""
        answer = super().get_route_handler()

        async def handler(request: Request) -> Response:
            apart = _JsonRequest(request.scope, request.receive)
            if self.body_field is not None:
                await apart.parse()
            return await answer(apart)

        return handler


class _JsonRequest(Request):
    """Parsed already, if it says that it is JSON."""

    async def parse(self) -> None:
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not kind.startswith("application/") or not kind.endswith(("/json", "+json")):
            return
        text = await self.body()
        if not text:
            return
        try:
            self._json = await json_reader.apart(text, partial(json_reader.parse, text))
        except ValueError as error:
            raise ValidationFailed(f"The body is not JSON: {error}.", field="body") from None

    async def body(self) -> bytes:
        """See starlette."""
        if not hasattr(self, "_body"):
            self._body = await joined([chunk async for chunk in self.stream()])
        return self._body

    async def json(self) -> Any:
        """See starlette."""
        if not hasattr(self, "_json"):  # it did not say so, and FastAPI knows better
            text = await self.body()
            self._json = await json_reader.apart(text, partial(json_reader.parse, text))
        return self._json


class WholeBodies:
    """Each must go on coming; a large one needs a key first, counts as an upload, and has an end.

    Pure ASGI.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        request = Request(scope) if scope["type"] == "http" else None
        if request is None or not _is_read_whole(request):
            if request is not None and wants_its_answer_kept(scope):
                receive = _impatient(receive)  # it is read to be compared with an earlier one
            await self._app(scope, receive, send)
            return
        if is_small(request):
            await self._app(scope, _impatient(receive), send)
            return
        try:
            services = await current_services(request)
            limit = services.max_upload_bytes * 4 // 3 + MEGABYTE  # one such file in base64
            key = await services.accounts.authenticate(presented(request))
            async with room_for(request, services, key.tenant, limit):
                await self._app(scope, _bounded(_impatient(receive), limit), send)
        except OcelliError as error:
            await errors_of(request).render(request, error)(scope, receive, send)


def _is_read_whole(request: Request) -> bool:
    path = request.url.path
    return (
        request.method not in ("GET", "HEAD", "OPTIONS")
        and path.startswith(_PREFIX)
        and not path.startswith(_STREAMED)
        and ("content-length" in request.headers or "transfer-encoding" in request.headers)
    )


def _impatient(receive: Receive) -> Receive:
    """Until the body is there; then ``receive`` waits for the client to hang up."""
    more = True

    async def awaited() -> Message:
        nonlocal more
        if not more:
            return await receive()
        try:
            async with asyncio.timeout(IDLE_TIMEOUT):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408) from None  # as in ``_bounded``
        more = message.get("more_body", False)
        return message

    return awaited


def _bounded(receive: Receive, limit: int) -> Receive:
    """FastAPI calls any other error of ours a body that cannot be parsed."""
    size = 0

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise HTTPException(413)
        return message

    return counted
