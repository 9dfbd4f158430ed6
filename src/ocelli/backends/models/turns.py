"""Who may ask a model that others ask at the same time, and who has to be alone with it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Turns:
    """At most ``slots`` go side by side. One that goes alone waits for those before it, and those
    behind it wait for its end.
    """

    def __init__(self, slots: int) -> None:
        self._slots = asyncio.Semaphore(slots)
        self._changed = asyncio.Condition()
        self._inside = 0
        self._to_be_alone = 0
        self._is_alone = False

    @asynccontextmanager
    async def turn(self, *, alone: bool) -> AsyncIterator[None]:
        """Wait for a turn, and have it for the block."""
        if alone:
            async with self._alone():
                yield
            return
        async with self._slots:
            async with self._changed:
                await self._changed.wait_for(lambda: not (self._is_alone or self._to_be_alone))
                self._inside += 1
            try:
                yield
            finally:
                await self._leave()

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        self._to_be_alone += 1
        try:
            async with self._changed:
                await self._changed.wait_for(lambda: not (self._is_alone or self._inside))
                self._is_alone = True
        finally:
            self._to_be_alone -= 1
            if not self._is_alone:  # it was cancelled while it waited
                await self._wake()
        try:
            yield
        finally:
            self._is_alone = False
            await self._wake()

    async def _leave(self) -> None:
        self._inside -= 1
        await self._wake()

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()
