"""Wait for changes by other processes: woken by notifications, and polling beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Awaitable

POLL_INTERVAL = 2.0  # a lost notification costs so many seconds, not the answer

T = TypeVar("T")

# Gives an event that is set whenever the row of this id has, or may have, changed.
Listen = Callable[[UUID], AbstractAsyncContextManager[asyncio.Event]]


async def wait_until(
    listen: Listen,
    id: UUID,
    read: Callable[[], Awaitable[T]],
    is_done: Callable[[T], bool],
    *,
    timeout: float,
) -> T:
    """Call ``read`` until ``is_done`` or for ``timeout`` seconds; return the last result."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    async with listen(id) as changed:
        while True:
            changed.clear()  # before reading, so that no change falls between
            found = await read()
            left = deadline - loop.time()
            if is_done(found) or left <= 0:
                return found
            await set_within(changed, min(left, POLL_INTERVAL))


async def set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait at most ``seconds`` for the event; return whether it was set."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
