"""Give the jobs of dead workers back to the queue.

The queue counts attempts but does not detect dead workers: their jobs would stay ``doing``. So
every worker sweeps periodically, one at a time by an advisory lock.
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

SWEEP_INTERVAL = 1.0  # seconds
STALL_THRESHOLD = 2.5  # seconds between two rounds: the database, or this process, was held up
TASKS_INTERVAL = 30.0


class Sweep:
    """Retries the jobs of dead workers, and runs the ``periodic_tasks``."""

    def __init__(
        self,
        app: procrastinate.App,
        jobs: Mapping[str, Job],
        try_lock: TryLock,
        *,
        periodic_tasks: Sequence[Callable[[], Awaitable[Any]]] = (),
        max_attempts: int,
    ) -> None:
        self._app = app
        self._jobs = jobs
        self._try_lock = try_lock
        self._periodic_tasks = periodic_tasks
        self._max_attempts = max_attempts

    async def run(self, stop: asyncio.Event, stalled_after: float) -> None:
        """Sweep until ``stop`` is set; errors of the database are logged, and the sweep goes on.

        After a delay of its own it skips one round: when a frozen database resumes, the last
        heartbeats of all workers are old.

        ``stop`` is an event because on Python 3.11 ``asyncio.wait_for``, and with it psycopg_pool,
        can swallow a cancellation that comes together with the result.
        """
        last_round, skips_round, next_tasks_at = time.monotonic(), False, 0.0
        while not stop.is_set():
            try:
                async with self._try_lock("sweep") as has_lock:
                    skips_round = (
                        time.monotonic() - last_round > STALL_THRESHOLD and not skips_round
                    )
                    last_round = time.monotonic()
                    if has_lock and not skips_round:
                        await self._give_back(stalled_after)
                    if has_lock and last_round > next_tasks_at:
                        for periodic_task in self._periodic_tasks:
                            await periodic_task()
                        next_tasks_at = last_round + TASKS_INTERVAL
            except Exception as error:  # the next round tries again
                log.warning("sweep: %s", error if isinstance(error, Unavailable) else repr(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), SWEEP_INTERVAL)

    async def _give_back(self, stalled_after: float) -> None:
        for job in await self._app.job_manager.get_stalled_jobs(
            seconds_since_heartbeat=stalled_after
        ):
            await self._handle(job)

    async def _handle(self, job: procrastinate.jobs.Job) -> None:
        """Retry or fail a job. Must be safe to repeat: the process may die after any line."""
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
