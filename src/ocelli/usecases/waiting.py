"""Wait for what other processes do: woken by notifications, looking now and then all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Awaitable

LOOK_AGAIN = 2.0  # a lost notification costs so many seconds, not the answer

T = TypeVar("T")

# An event that is set whenever what has this id has changed, or may have.
Listen = Callable[[UUID], AbstractAsyncContextManager[asyncio.Event]]


async def wait_until(
    listen: Listen,
    id: UUID,
    read: Callable[[], Awaitable[T]],
    is_done: Callable[[T], bool],
    *,
    timeout: float,
) -> T:
    """What ``read`` says once it is done; after ``timeout`` seconds what it says then."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    async with listen(id) as changed:
        while True:
            changed.clear()  # before reading, so that no change falls between
            found = await read()
            left = deadline - loop.time()
            if is_done(found) or left <= 0:
                return found
            await set_within(changed, min(left, LOOK_AGAIN))


async def set_within(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event was set in this time."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
