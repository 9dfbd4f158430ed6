"""Bodies that routes read themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request

from ocelli.api.services import Services
from ocelli.domain.accounts import MEGABYTE, ApiKey, Tenant
from ocelli.domain.errors import MalformedRequest, TooLarge

if TYPE_CHECKING:
    from starlette.types import Scope


FEW_PARTS = 16  # each is up to 320 KB
SMALL_BODY = 64 * 1024  # bytes; so many are read of anybody
COPIES = 2  # of a body that are in memory at a time: as it came, and parsed
LARGE_BODY = 4 * MEGABYTE
IDLE_TIMEOUT = 60.0  # seconds without a byte of a body
_NO_SLOT: nullcontext[None] = nullcontext()


def wants_its_answer_kept(scope: Scope) -> bool:
    """Whether it has an Idempotency-Key."""
    return any(name == b"idempotency-key" for name, _ in scope["headers"])


def announced(request: Request) -> int | None:
    """Bytes of its body, as it says itself."""
    length = request.headers.get("content-length", "")
    return int(length[:20]) if length.isdecimal() else None  # so many digits are enough to refuse


def is_small(request: Request) -> bool:
    """Whether its body needs no key and no room."""
    size = announced(request)
    return size is not None and size <= SMALL_BODY


def is_large(request: Request) -> bool:
    """Whether its body counts as an upload, of which a tenant may have so many at a time."""
    size = announced(request)
    return size is None or size > LARGE_BODY


@asynccontextmanager
async def whole_body(
    request: Request, services: Services, key: ApiKey, limit: int
) -> AsyncIterator[bytes]:
    """The body in memory; a large one counts as an upload until the block ends.

    Raises TooLarge as soon as it is known to have more than ``limit`` bytes, RateLimited,
    Unavailable if there is no memory for it, MalformedRequest if it ends or stops in the middle.
    """
    async with room_for(request, services, key.tenant, limit):
        yield await _read(request, limit)


@asynccontextmanager
async def room_for(
    request: Request, services: Services, tenant: Tenant, limit: int
) -> AsyncIterator[None]:
    """Memory for a body of at most ``limit`` bytes; a large one counts as an upload.

    Raises TooLarge if it says that it has more, RateLimited, Unavailable.
    """
    if is_small(request):
        yield
        return
    size = announced(request)
    if (size or 0) > limit:
        raise too_large(limit)
    async with (
        services.slots.taken(tenant) if is_large(request) else _NO_SLOT,
        services.memory.taken(tenant.id, COPIES * (limit if size is None else size)),
    ):
        yield


async def _read(request: Request, limit: int) -> bytes:
    parts, size = [], 0
    async for part in arriving(request):
        size += len(part)
        if size > limit:
            raise too_large(limit)
        parts.append(part)
    return await joined(parts)


async def joined(parts: Sequence[bytes]) -> bytes:
    """Many in a thread: to copy 60 MB takes a tenth of a second."""
    if len(parts) == 1:
        return parts[0]
    if len(parts) <= FEW_PARTS:
        return b"".join(parts)
    return await asyncio.to_thread(b"".join, parts)


async def arriving(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes. Raises MalformedRequest if it stops coming, or the client hangs up.

    What the caller does with a chunk takes none of that time: it does not wait for bytes then.
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
    except ClientDisconnect:
        raise MalformedRequest("The client hung up in mid-body.", field="body") from None


def too_large(limit: int) -> TooLarge:
    """Of a whole body."""
    return TooLarge(
        f"The body of the request is larger than {limit // MEGABYTE} MB.",
        details={"max_bytes": limit},
    )
