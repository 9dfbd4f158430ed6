"""Give back what dead workers held.

The queue counts attempts but does not notice dead workers by itself: a job stays ``doing`` for
ever unless a worker looks. Every worker looks; an advisory lock lets one at a time act.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from procrastinate.jobs import Status

from ocelli.domain.errors import Unavailable
from ocelli.worker.jobs import subject

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    import procrastinate

    from ocelli.worker.jobs import Job

    TryLock = Callable[[str], AbstractAsyncContextManager[bool]]

log = logging.getLogger(__name__)

EVERY = 1.0  # seconds
LATE = 2.5  # seconds between two rounds: the database, or this process, was held up
CHORES_EVERY = 30.0


class Sweep:
    """Finds jobs whose worker has died; now and then does the ``chores``."""

    def __init__(
        self,
        app: procrastinate.App,
        jobs: Mapping[str, Job],
        try_lock: TryLock,
        *,
        chores: Sequence[Callable[[], Awaitable[Any]]] = (),
        max_attempts: int,
    ) -> None:
        self._app = app
        self._jobs = jobs
        self._try_lock = try_lock
        self._chores = chores
        self._max_attempts = max_attempts

    async def run(self, stop: asyncio.Event, stalled_after: float) -> None:
        """Until ``stop`` is set; a database that is away for a while ends nothing.

        One that was held up itself waits one round more: when a frozen database thaws, the last
        heartbeats of all others are old.

        An event, because cancelling is not enough: on Python 3.11 ``asyncio.wait_for``, and with
        it psycopg_pool, can swallow a cancellation that comes together with the result.
        """
        heard, waits, chores_at = time.monotonic(), False, 0.0
        while not stop.is_set():
            try:
                async with self._try_lock("sweep") as alone:
                    waits = time.monotonic() - heard > LATE and not waits
                    heard = time.monotonic()
                    if alone and not waits:
                        await self._give_back(stalled_after)
                    if alone and heard > chores_at:
                        for chore in self._chores:
                            await chore()
                        chores_at = heard + CHORES_EVERY
            except Exception as error:  # the next round tries again
                log.warning("sweep: %s", error if isinstance(error, Unavailable) else repr(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY)

    async def _give_back(self, stalled_after: float) -> None:
        for job in await self._app.job_manager.get_stalled_jobs(
            seconds_since_heartbeat=stalled_after
        ):
            await self._handle(job)

    async def _handle(self, job: procrastinate.jobs.Job) -> None:
        """Must be safe to repeat: we may die after any line."""
        assert job.id is not None
        if job.attempts + 1 < self._max_attempts:
            log.warning("job %d: its worker is gone; trying again", job.id)
            await self._app.job_manager.retry_job_by_id_async(job.id, retry_at=datetime.now(UTC))
            return
        log.error("job %d: its worker is gone for the last time; failed", job.id)
        reason = f"The worker died or hung {self._max_attempts} times while working on this."
        if job.task_name in self._jobs:
            await self._jobs[job.task_name].give_up(subject(job.task_kwargs), reason)
        await self._app.job_manager.finish_job_by_id_async(
            job.id, status=Status.FAILED, delete_job=False
        )
