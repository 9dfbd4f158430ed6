"""Decoding for tenants: within one budget of a process, and a share of it for each of them."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from ocelli.domain.accounts import MEGABYTE
from ocelli.domain.errors import AnalysisFailed, FailureType
from ocelli.media import memory
from ocelli.media.decode import checked_header
from ocelli.usecases.capacity import WAIT_TIMEOUT, Capacity

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from uuid import UUID

T = TypeVar("T")


class DecoderPool:
    """``at_once`` decoders, half of them for one tenant; ``budget`` bytes for one picture, and a
    third more for all. What finds no room waits. Each decoder is a child process, see
    ``media.isolation``; the threads here only wait for them.
    """

    def __init__(
        self, *, max_pixels: int, budget: int, at_once: int = 2, wait: float = WAIT_TIMEOUT
    ) -> None:
        self.max_pixels = max_pixels
        self._budget = budget
        self._memory = Capacity(budget * 4 // 3, share=budget, wait=wait)
        self._decoders = Capacity(
            at_once, share=max(1, at_once // 2), wait=wait, what="picture decoder"
        )
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="decode")

    def close(self) -> None:
        """Stop the threads; no call may follow."""
        self._threads.shutdown(wait=False)

    async def decode(
        self, tenant_id: UUID, data: bytes, work: Callable[[], T], *, side: int | None
    ) -> T:
        """What ``work`` makes of the picture in ``data``, which it decodes to ``side``.

        Raises AnalysisFailed for what ``read_header`` refuses or takes more memory than there is
        for one picture, Unavailable if there is no room in time.
        """
        header = await asyncio.to_thread(checked_header, data, max_pixels=self.max_pixels)
        needed = memory.needed(header, side)
        if needed > self._budget:
            raise AnalysisFailed(
                FailureType.RESOURCE_LIMIT,
                f"Decoding a picture like this takes about {needed // MEGABYTE} MB of memory, "
                f"more than the {self._budget // MEGABYTE} MB that there are for one.",
                retryable=False,
            )
        async with self.room(tenant_id, needed):
            return await self.step(tenant_id, work)

    def room(self, tenant_id: UUID, amount: int) -> AbstractAsyncContextManager[None]:
        """Memory for something that takes several steps."""
        return self._memory.acquire(tenant_id, amount)

    async def step(self, tenant_id: UUID, work: Callable[[], T]) -> T:
        """``work`` in a thread, once it is the tenant's turn. A caller that is cancelled meanwhile
        waits for its end: until then it takes the room.
        """
        async with self._decoders.acquire(tenant_id, 1):
            future = asyncio.get_running_loop().run_in_executor(self._threads, work)
            try:
                return await asyncio.shield(future)
            except asyncio.CancelledError:
                with suppress(Exception):  # of interest to nothing any more
                    await future
                raise
