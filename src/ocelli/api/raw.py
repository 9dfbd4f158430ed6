"""Routes that read their body and send their answer themselves: at the speed of ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect, Request

from ocelli.api.auth import admit, presented, services
from ocelli.api.services import Services
from ocelli.api.surfaces import surface_of
from ocelli.domain.accounts import MEGABYTE, ApiKey
from ocelli.domain.errors import MalformedRequest, OcelliError, TooLarge

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


LARGE_BODY = 4 * MEGABYTE
IDLE_TIMEOUT = 60.0  # seconds without a byte of a body
_NO_SLOT: nullcontext[None] = nullcontext()


@dataclass(frozen=True, slots=True)
class Call:
    """One request with its whole body, admitted."""

    request: Request
    mine: Services
    key: ApiKey
    body: bytes
    receive: Receive
    send: Send

    async def answer(
        self, body: bytes, content_type: bytes, headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> None:
        """Send a whole answer."""
        length = str(len(body)).encode()
        start = [(b"content-type", content_type), (b"content-length", length), *headers]
        await self.send({"type": "http.response.start", "status": 200, "headers": start})
        await self.send({"type": "http.response.body", "body": body})


class RawRoute(APIRoute):
    """FastAPI documents it by its ``endpoint``, which is never called; ``work`` does what it says.

    The key is asked for before the body is read. Errors are raised, as everywhere.
    """

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        work: Callable[[Call], Awaitable[None]],
        max_bytes: Callable[[Services], int],
        **options: Any,
    ) -> None:
        super().__init__(path, endpoint, methods=["POST"], **options)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            request = Request(scope, receive)
            mine = await services(request)
            key = await admit(request, presented(request))
            async with mine.slots.taken(key.tenant) if is_large(request) else _NO_SLOT:
                try:
                    body = await _body(request, max_bytes(mine))
                except ClientDisconnect:
                    return
                await work(Call(request, mine, key, body, receive, send))

        self.app = app


class Direct:
    """Takes requests for RawRoutes past the framework, which would cost as much as the route.

    One with an Idempotency-Key goes the long way: its answer is kept there.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[RawRoute]) -> None:
        self._app = app
        self._routes = {route.path: route for route in routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        route = self._routes.get(scope["path"]) if scope["type"] == "http" else None
        if route is None or scope["method"] != "POST" or wants_its_answer_kept(scope):
            await self._app(scope, receive, send)
            return
        scope["endpoint"] = route.endpoint
        try:
            await route.app(scope, receive, send)
        except OcelliError as error:
            request = Request(scope)
            await surface_of(request).render(request, error)(scope, receive, send)


def wants_its_answer_kept(scope: Scope) -> bool:
    """Whether it has an Idempotency-Key."""
    return any(name == b"idempotency-key" for name, _ in scope["headers"])


def announced(request: Request) -> int | None:
    """Bytes of its body, as it says itself."""
    length = request.headers.get("content-length", "")
    return int(length[:20]) if length.isdecimal() else None  # so many digits are enough to refuse


def is_large(request: Request) -> bool:
    """Whether its body counts as an upload, of which a tenant may have so many at a time."""
    size = announced(request)
    return size is None or size > LARGE_BODY


async def _body(request: Request, limit: int) -> bytes:
    """Raises TooLarge as soon as that is known."""
    if (announced(request) or 0) > limit:
        raise too_large(limit)
    parts, size = [], 0
    async for part in arriving(request):
        size += len(part)
        if size > limit:
            raise too_large(limit)
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def arriving(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes. Raises MalformedRequest if it stops coming; ClientDisconnect.

    What the caller does with a chunk takes none of that time: then nobody waits for bytes.
    """
    clock = asyncio.get_running_loop().time
    try:
        # One timeout, moved on with every chunk: a new one each time costs as much as hashing it.
        async with asyncio.timeout(IDLE_TIMEOUT) as patience:
            async for chunk in request.stream():
                patience.reschedule(None)
                yield chunk
                patience.reschedule(clock() + IDLE_TIMEOUT)
    except TimeoutError:
        raise MalformedRequest(
            f"No data came for {IDLE_TIMEOUT:.0f} seconds.", field="body"
        ) from None


def too_large(limit: int) -> TooLarge:
    """Of a whole body."""
    return TooLarge(
        f"The body of the request is larger than {limit // MEGABYTE} MB.",
        details={"max_bytes": limit},
    )
