"""Work that is done in a process of its own."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING, TypeVar

from anyio import BrokenWorkerProcess, CapacityLimiter, to_process

from ocelli.usecases.buffers import Buffer, InHand

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocelli.domain.ports import Small

T = TypeVar("T")

log = logging.getLogger(__name__)

_TRIAL = 16  # bytes
_ATTEMPTS = 2


class Aside:
    """Runs functions in one child process, which has a Python lock of its own.

    A thread that calls the system many times lets go of the lock each time, and each time waits
    until the event loop lets go of it. ``start`` when that begins to matter: until the child is
    there, and if there can be none, functions run in a thread. The child ends with this process,
    however that ends.
    """

    def __init__(self, prepare: Callable[[], None]) -> None:
        """``prepare`` is what the child does before it is of use."""
        self._prepare = prepare
        self._is_ready = False
        self._starting: asyncio.Task[None] | None = None
        self._one = CapacityLimiter(1)

    def start(self) -> None:
        """In the background; once is enough."""
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())

    async def __call__(self, function: Callable[..., T], *arguments: object) -> T:
        """What ``function`` answers; all of it can be pickled. Raises what it raises.

        It may run twice, if the child dies of the first time.
        """
        if self._is_ready:
            try:
                return await to_process.run_sync(function, *arguments, limiter=self._one)
            except BrokenWorkerProcess:
                log.warning("the process for small files died; the next one is started")
        return await asyncio.to_thread(function, *arguments)

    async def _start(self) -> None:
        """Once it has seen our memory it is of use; where it cannot, we go on without."""
        trial = InHand(Buffer(), _TRIAL)
        trial.content[:] = said = os.urandom(_TRIAL)
        reason: Exception | None = None
        for _ in range(_ATTEMPTS):
            try:
                seen = await to_process.run_sync(_begin, self._prepare, trial, limiter=self._one)
            except (BrokenWorkerProcess, OSError) as error:
                reason = error
            else:
                self._is_ready = seen == said
                break
        trial.give_back()
        if not self._is_ready:
            log.warning("small files are stored by a thread, which is slower", exc_info=reason)


def _begin(prepare: Callable[[], None], trial: Small) -> bytes:
    prepare()
    return bytes(trial.content)
