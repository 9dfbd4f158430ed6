"""How tests wait: for what they can see, and as long as the busiest machine may need."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 240.0
"""Seconds. Only what is broken takes as long, so that no test depends on the machine's speed."""


def until(probe: Callable[[], T | None], within: float = PATIENCE, every: float = 0.02) -> T:
    """The first true answer of ``probe``. Raises AssertionError with the last false one."""
    deadline = time.monotonic() + within
    while not (found := probe()):
        assert time.monotonic() < deadline, f"still {found!r} after {within:g} s"
        time.sleep(every)
    return found


async def eventually(probe: Callable[[], Awaitable[T | None]], within: float = PATIENCE) -> T:
    """The same for a probe that is awaited."""
    async with asyncio.timeout(within):
        while not (found := await probe()):
            await asyncio.sleep(0.02)
        return found
