"""How tests wait: for what they can see, and as long as the busiest machine may need."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 240.0
"""Seconds. Only what is broken takes as long, so that no test depends on the machine's speed."""


RAREST = 0.5
"""Seconds between two questions: what answers them is what the processor has to do besides."""


def until(
    probe: Callable[[], T | None],
    within: float = PATIENCE,
    every: float = 0.02,
    *,
    fleeting: bool = False,
) -> T:
    """The first true answer of ``probe``. Raises AssertionError with the last false one.

    It is asked ``every`` so many seconds, and more rarely the longer it takes: by a tenth of that
    time. ``fleeting``: what it asks for may pass, so that it is asked as often to the end.
    """
    start = time.monotonic()
    while not (found := probe()):
        waited = time.monotonic() - start
        assert waited < within, f"still {found!r} after {within:g} s"
        time.sleep(every if fleeting else max(every, min(RAREST, waited / 10)))
    return found


async def eventually(probe: Callable[[], Awaitable[T | None]], within: float = PATIENCE) -> T:
    """The same for a probe that is awaited."""
    async with asyncio.timeout(within):
        while not (found := await probe()):
            await asyncio.sleep(0.02)
        return found
