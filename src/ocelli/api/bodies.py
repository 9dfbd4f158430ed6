"""Bodies within bounds: those that routes read themselves, and those that FastAPI reads whole, into
memory, before the key is checked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from ocelli.api import json_reader
from ocelli.api.auth import authenticate, current_services, presented_key
from ocelli.api.dialects import errors_of
from ocelli.api.services import Services
from ocelli.domain.accounts import MEGABYTE, ApiKey, Tenant
from ocelli.domain.errors import MalformedRequest, OcelliError, TooLarge, ValidationFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PREFIX = "/api/v2/"
_STREAMED = "/api/v2/user-files/upload/"  # read in pieces, under bounds of their own
MAX_INLINE_PARTS = 16  # each is up to 320 KB
SMALL_BODY = 64 * 1024  # bytes that are read without a key
COPIES = 2  # of a body that are in memory at a time: as it came, and parsed
LARGE_BODY = 4 * MEGABYTE
IDLE_TIMEOUT = 60.0  # seconds without a byte of a body
_NO_SLOT: nullcontext[None] = nullcontext()


def has_idempotency_key(scope: Scope) -> bool:
    """Return whether the request has an Idempotency-Key."""
    return any(name == b"idempotency-key" for name, _ in scope["headers"])


def content_length(request: Request) -> int | None:
    """Return the announced bytes of the body; None if there is no such number."""
    length = request.headers.get("content-length", "")
    return int(length[:20]) if length.isdecimal() else None  # so many digits are enough to refuse


def is_small(request: Request) -> bool:
    """Return whether the body is read without a key and without reserving memory."""
    size = content_length(request)
    return size is not None and size <= SMALL_BODY


def is_large(request: Request) -> bool:
    """Return whether the body counts as an upload, whose number per tenant is limited."""
    size = content_length(request)
    return size is None or size > LARGE_BODY


@asynccontextmanager
async def read_body(
    request: Request, services: Services, key: ApiKey, limit: int
) -> AsyncIterator[bytes]:
    """Give the body in memory; a large one counts as an upload until the block ends.

    Raises TooLarge above ``limit`` bytes, RateLimited, Unavailable if there is no memory for it,
    MalformedRequest if it ends or stalls before its end.
    """
    async with reserve_memory(request, services, key.tenant, limit):
        yield await _read(request, limit)


@asynccontextmanager
async def reserve_memory(
    request: Request, services: Services, tenant: Tenant, limit: int
) -> AsyncIterator[None]:
    """Reserve memory for a body of at most ``limit`` bytes; a large one counts as an upload.

    Raises TooLarge if it announces more, RateLimited, Unavailable.
    """
    if is_small(request):
        yield
        return
    size = content_length(request)
    if (size or 0) > limit:
        raise too_large(limit)
    async with (
        services.slots.acquire(tenant) if is_large(request) else _NO_SLOT,
        services.memory.acquire(tenant.id, COPIES * (limit if size is None else size)),
    ):
        yield


async def _read(request: Request, limit: int) -> bytes:
    parts, size = [], 0
    async for part in body_chunks(request):
        size += len(part)
        if size > limit:
            raise too_large(limit)
        parts.append(part)
    return await joined(parts)


async def joined(parts: Sequence[bytes]) -> bytes:
    """Join chunks, many in a thread: to copy 60 MB takes a tenth of a second."""
    if len(parts) == 1:
        return parts[0]
    if len(parts) <= MAX_INLINE_PARTS:
        return b"".join(parts)
    return await asyncio.to_thread(b"".join, parts)


async def body_chunks(request: Request) -> AsyncIterator[bytes]:
    """Yield the body as it is received. Raises MalformedRequest at the timeout or a disconnect.

    The time that the caller spends on a chunk does not count.
    """
    clock = asyncio.get_running_loop().time
    try:
        # One timeout, moved on with every chunk: a new one each time costs as much as hashing it.
        async with asyncio.timeout(IDLE_TIMEOUT) as timeout:
            async for chunk in request.stream():
                timeout.reschedule(None)
                yield chunk
                timeout.reschedule(clock() + IDLE_TIMEOUT)
    except TimeoutError:
        raise MalformedRequest(
            f"No data came for {IDLE_TIMEOUT:.0f} seconds.", field="body"
        ) from None
    except ClientDisconnect:
        raise MalformedRequest("The client hung up in mid-body.", field="body") from None


def too_large(limit: int) -> TooLarge:
    """Return the error of a body above ``limit`` bytes."""
    return TooLarge(
        f"The body of the request is larger than {limit // MEGABYTE} MB.",
        details={"max_bytes": limit},
    )


class JsonRoute(APIRoute):
    """A route whose JSON body is parsed in a thread: FastAPI would do so on the event loop."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See FastAPI."""
        answer = super().get_route_handler()

        async def handler(request: Request) -> Response:
            json_request = _JsonRequest(request.scope, request.receive)
            if self.body_field is not None:
                await json_request.parse()
            return await answer(json_request)

        return handler


class _JsonRequest(Request):
    """A request whose JSON body was parsed in a thread."""

    async def parse(self) -> None:
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not kind.startswith("application/") or not kind.endswith(("/json", "+json")):
            return
        text = await self.body()
        if not text:
            return
        try:
            self._json = await json_reader.run_in_thread(text, partial(json_reader.parse, text))
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
            self._json = await json_reader.run_in_thread(text, partial(json_reader.parse, text))
        return self._json


class WholeBodies:
    """Middleware for bodies that FastAPI reads whole: idle timeout, limit of bytes and of memory.

    Larger ones need a key first, and count as uploads. Pure ASGI.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        request = Request(scope) if scope["type"] == "http" else None
        if request is None or not _is_read_whole(request):
            if request is not None and has_idempotency_key(scope):
                receive = _with_idle_timeout(
                    receive
                )  # it is read to be compared with an earlier one
            await self._app(scope, receive, send)
            return
        if is_small(request):
            await self._app(scope, _with_idle_timeout(receive), send)
            return
        try:
            services = await current_services(request)
            limit = services.max_upload_bytes * 4 // 3 + MEGABYTE  # one such file in base64
            key = await authenticate(request, services, presented_key(request))
            async with reserve_memory(request, services, key.tenant, limit):
                await self._app(scope, _bounded(_with_idle_timeout(receive), limit), send)
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


def _with_idle_timeout(receive: Receive) -> Receive:
    """Limit the time between the chunks of a body; after it ``receive`` may wait for ever."""
    more = True

    async def receive_in_time() -> Message:
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

    return receive_in_time


def _bounded(receive: Receive, limit: int) -> Receive:
    """Limit the bytes of a body. HTTPException, as FastAPI turns other errors into parse errors."""
    size = 0

    async def receive_counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise HTTPException(413)
        return message

    return receive_counted
