"""Work that is done in a process of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from anyio import BrokenWorkerProcess, CapacityLimiter, to_process

from ocelli.domain.errors import Unavailable
from ocelli.usecases.buffers import Buffer, InHand

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocelli.domain.ports_storage import Small

T = TypeVar("T")

log = logging.getLogger(__name__)

_TRIAL = 16  # bytes


class Aside:
    """Runs functions in one child process, which has a Python lock of its own.

    A thread that calls the system many times lets go of the lock each time, and each time waits
    until the event loop lets go of it. ``start`` when that begins to matter: until the child is
    there, where there can be none, and when it has died, functions run in a thread. The child ends
    with this process, however that ends.
    """

    def __init__(self, prepare: Callable[[], None], *, patience: float = 60.0) -> None:
        """``prepare`` is what the child does before it is of use; ``patience`` in seconds."""
        self._prepare = prepare
        self._patience = patience
        self._is_ready = False
        self._starting: asyncio.Task[None] | None = None
        self._numbers = count()

    def start(self) -> None:
        """In the background, unless it is there or on its way."""
        if not self._is_ready and (self._starting is None or self._starting.done()):
            self._starting = asyncio.create_task(self._start())

    async def __call__(self, function: Callable[..., T], *arguments: object) -> T:
        """What ``function`` answers; it raises nothing, and all of it can be pickled.

        It may run twice, if the child dies of the first time. Raises Unavailable if it takes longer
        than our patience; the child is killed then.
        """
        if self._is_ready:
            try:
                return await self._ask(function, *arguments)
            except _Broken as error:
                self._is_ready = False
                log.warning("the process for small files died: %s", error)
        return await asyncio.to_thread(function, *arguments)

    async def _ask(self, function: Callable[..., T], *arguments: object) -> T:
        number = next(self._numbers)
        try:
            async with asyncio.timeout(self._patience):
                answered, child, answer = await to_process.run_sync(
                    _answer, number, function, arguments, cancellable=True, limiter=self._one
                )
        except TimeoutError:
            self._is_ready = False
            raise Unavailable("The store is too slow right now. Try again later.") from None
        except (BrokenWorkerProcess, OSError) as error:
            raise _Broken(repr(error)) from error
        if answered != number:  # and so would all that follow be
            os.kill(child, signal.SIGKILL)
            raise _Broken("it answered another question")
        return answer

    async def _start(self) -> None:
        """Once it has seen our memory it is of use."""
        self._one = CapacityLimiter(1)
        trial = InHand(Buffer(), _TRIAL)
        if trial.buffer.shared_as is None:
            return
        trial.content[:] = said = os.urandom(_TRIAL)
        try:
            self._is_ready = await self._ask(_begin, self._prepare, trial) == said
        except Exception as error:
            log.warning("small files are stored by a thread, which is slower: %r", error)
        trial.give_back()


class _Broken(Exception):
    """The child is of no use any more."""


def _answer(
    number: int, function: Callable[..., T], arguments: tuple[object, ...]
) -> tuple[int, int, T]:
    """In the child. With its number: what comes unasked is no answer."""
    _keep_to_ourselves()
    return number, os.getpid(), function(*arguments)


@cache
def _keep_to_ourselves() -> None:
    """What libraries say on our standard error is not read, and a full pipe would stop us."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _begin(prepare: Callable[[], None], trial: Small) -> bytes:
    prepare()
    return bytes(trial.content)
