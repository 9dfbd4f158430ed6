"""Asking one backend: at most so many at a time, within a deadline, again where that can help."""

from __future__ import annotations

import asyncio
import random
from contextlib import nullcontext
from typing import TYPE_CHECKING, TypeVar

from ocelli.backends.chat import failures
from ocelli.backends.chat.breaker import Breaker
from ocelli.backends.chat.failures import UpstreamRejection

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from ocelli.backends.config import BackendConfig

T = TypeVar("T")


class Attempts:
    """One backend's. ``at_once`` of them may be under way; None: any number.

    ``longest_pause`` is how many seconds are waited for another attempt at most.
    """

    def __init__(
        self,
        config: BackendConfig,
        *,
        retries: int,
        at_once: int | None = None,
        longest_pause: float | None = None,
    ) -> None:
        self.breaker = Breaker(config.breaker_failures, config.breaker_seconds)
        self._config = config
        self._retries = retries
        self._slots: AbstractAsyncContextManager[None] = (
            asyncio.Semaphore(at_once) if at_once else nullcontext()
        )
        self._longest_pause = config.deadline if longest_pause is None else longest_pause

    async def with_retries(self, work: Callable[[float], Awaitable[T]]) -> T:
        """Return the result of ``work``, which gets its deadline in the loop's time.

        It calls ``once``. Raises UpstreamRejection, at the latest at the deadline.
        """
        loop = asyncio.get_running_loop()
        ends = loop.time() + self._config.deadline
        failed = 0
        while True:
            try:
                return await work(ends)
            except UpstreamRejection as refused:
                failed += 1
                pause = failures.next_pause(failed, refused.after, random.random())  # noqa: S311
                longest = min(self._longest_pause, ends - loop.time())
                if not refused.again or failed > self._retries or pause >= longest:
                    raise
                await asyncio.sleep(pause)

    async def once(self, ask: Callable[[], Awaitable[T]], ends: float) -> T:
        """Return the result of ``ask``, within the timeout of an attempt and before ``ends``."""
        name = self._config.name
        try:
            async with asyncio.timeout_at(ends), self._slots:
                if not self.breaker.admit():
                    raise failures.circuit_open(name, self.breaker.wait)
                return await self._counted(ask, ends)
        except TimeoutError as error:  # no slot became free
            raise failures.timed_out(name, self._config.deadline) from error

    async def _counted(self, ask: Callable[[], Awaitable[T]], ends: float) -> T:
        """Make an attempt, and report its result to the breaker."""
        config = self._config
        mine = asyncio.get_running_loop().time() + config.timeout
        try:
            try:
                async with asyncio.timeout_at(min(mine, ends)):
                    answer = await ask()
            except TimeoutError as error:
                seconds = config.timeout if mine <= ends else config.deadline
                raise failures.timed_out(config.name, seconds) from error
        except UpstreamRejection as refused:
            if refused.is_ill:
                self.breaker.failed()
            else:
                self.breaker.succeeded()
            raise
        except BaseException:
            self.breaker.cancelled()
            raise
        self.breaker.succeeded()
        return answer
