"""Take jobs from the queue and run them, one core per process.

What can end a worker: SIGTERM (finishes its jobs first), the death of its parent, a job that is
stuck, a lost database. It never has to clean up: whatever it held is given back by the sweep.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from typing import TYPE_CHECKING, Any

import procrastinate
from opentelemetry import trace
from procrastinate.retry import RetryDecision

from ocelli.domain.errors import StorageFull, Unavailable
from ocelli.worker.jobs import subject
from ocelli.worker.observe import observed
from ocelli.worker.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from ocelli.usecases.housekeeping import Housekeeping
    from ocelli.worker.jobs import Job
    from ocelli.worker.sweep import TryLock

log = logging.getLogger(__name__)

HEARTBEAT = 1.0
STALLED_AFTER = 3.5
DATABASE_AGAIN = 1.0
ROOM_AGAIN = 30  # seconds
STUCK = 75  # exit code; EX_TEMPFAIL

HOUSEKEEPING = "housekeeping"
HOUSEKEEPING_ATTEMPTS = 30  # for half an hour at least; then the next one is near
FAILED_JOBS_KEPT_HOURS = 7 * 24


class Backoff(procrastinate.BaseRetryStrategy):
    """Try again after 1, 2, 4, … seconds (at most 60), ``attempts`` times in all."""

    def __init__(self, attempts: int) -> None:
        self.attempts = attempts

    def get_retry_decision(
        self, *, exception: BaseException, job: procrastinate.jobs.Job
    ) -> RetryDecision | None:
        """See procrastinate."""
        del exception
        if job.attempts + 1 >= self.attempts:
            return None
        return RetryDecision(retry_in={"seconds": min(60, 2**job.attempts)})


class Worker:
    """One worker process. ``concurrency`` jobs overlap their waiting; computing is one thread."""

    def __init__(
        self,
        dsn: str,
        jobs: Mapping[str, Job],
        housekeeping: Housekeeping,
        try_lock: TryLock,
        pool: Callable[..., Any],
        reach: Callable[[], Awaitable[None]],
        *,
        chores: Sequence[Callable[[], Awaitable[Any]]] = (),
        max_attempts: int,
        job_timeout: float,
        unhurried: Collection[str] = (),
        concurrency: int = 2,
    ) -> None:
        self._jobs = jobs
        self._housekeeping = housekeeping
        self._try_lock = try_lock
        self._reach = reach
        self._chores = chores
        self._max_attempts = max_attempts
        self._job_timeout = job_timeout
        self._concurrency = concurrency
        self._started: dict[int, float] = {}
        self._app = procrastinate.App(
            connector=procrastinate.PsycopgConnector(
                pool_factory=pool,
                conninfo=dsn,
                min_size=1,
                max_size=4,
                timeout=5.0,
                reconnect_timeout=0.5,
            )
        )
        retry = Backoff(max_attempts)
        # Once an hour. It also keeps procrastinate's watch over its own tasks alive: with nothing
        # periodic that watch ends at once, and a lost heartbeat or listener goes unnoticed (see
        # docs/decisions/0003-queue.md).
        self._app.periodic(cron="17 * * * *")(
            self._app.task(name=HOUSEKEEPING, queue="ocelli", retry=Backoff(HOUSEKEEPING_ATTEMPTS))(
                self._run_housekeeping
            )
        )
        for name, job in jobs.items():
            running = self._running(job, watched=name not in unhurried)
            self._app.task(name=name, pass_context=True, retry=retry)(running)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set. Raises RuntimeError if the queue is lost before that."""
        if not await self._database_answers(stop):
            return
        async with self._app.open_async():
            log.info("takes jobs")
            sweep = Sweep(
                self._app,
                self._jobs,
                self._try_lock,
                chores=self._chores,
                max_attempts=self._max_attempts,
            )
            ended = asyncio.Event()
            helpers = [
                asyncio.create_task(sweep.run(ended, STALLED_AFTER), name="sweep"),
                asyncio.create_task(self._watch(), name="watch"),
            ]
            worker = asyncio.create_task(
                self._app.run_worker_async(
                    concurrency=self._concurrency,
                    update_heartbeat_interval=HEARTBEAT,
                    stalled_worker_timeout=STALLED_AFTER,
                    fetch_job_polling_interval=2.0,
                    shutdown_graceful_timeout=8.0,
                    install_signal_handlers=False,
                    delete_jobs="successful",
                ),
                name="worker",
            )
            stopping = asyncio.create_task(stop.wait(), name="stopping")
            try:
                await asyncio.wait({worker, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not stopping.done():
                    raise RuntimeError("the queue was lost") from worker.exception()
                worker.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await worker
            finally:
                ended.set()
                for task in (*helpers, stopping):
                    task.cancel()
                await asyncio.gather(*helpers, stopping, return_exceptions=True)

    async def _database_answers(self, stop: asyncio.Event) -> bool:
        """Wait until it does, or for ``stop``: the queue's pool would try once, and lose 30 s."""
        told = False
        while not stop.is_set():
            try:
                await self._reach()
                return True
            except Unavailable as error:
                if not told:
                    log.warning("waiting: %s", error)
                told = True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), DATABASE_AGAIN)
        return False

    def _running(self, job: Job, *, watched: bool) -> Callable[..., Awaitable[None]]:
        """A job that waits for the database and the store may take as long as it has rows."""

        async def run(context: procrastinate.JobContext, **arguments: str) -> None:
            id = subject(arguments)
            last = context.job.attempts + 1 >= self._max_attempts
            try:
                with observed(context.job, last=last):
                    if watched:
                        await self._tracked(context, lambda: job.run(id, last_attempt=last))
                    else:
                        await job.run(id, last_attempt=last)
            except StorageFull:
                await self._postpone(context.job)

        return run

    async def _postpone(self, job: procrastinate.jobs.Job) -> None:
        """The same anew: what was accepted does not fail because there is no room now.

        Its lock lets it begin when this one has ended. Dying in between costs nothing: then this
        one is tried again as well, and whichever comes second finds the work done.
        """
        await self._app.configure_task(
            job.task_name,
            queue=job.queue,
            lock=job.lock,
            priority=job.priority,
            schedule_in={"seconds": ROOM_AGAIN},
        ).defer_async(**job.task_kwargs)

    async def _run_housekeeping(self, timestamp: int) -> None:
        del timestamp
        log.info("swept: %s", await self._housekeeping.run())
        await self._app.job_manager.delete_old_jobs(FAILED_JOBS_KEPT_HOURS, include_failed=True)

    async def _tracked(
        self, context: procrastinate.JobContext, run: Callable[[], Awaitable[Any]]
    ) -> None:
        job = context.job
        assert job.id is not None
        self._started[job.id] = time.monotonic()
        # The spans of a job's model calls belong to it.
        with trace.get_tracer("ocelli.worker").start_as_current_span(
            f"job {job.task_name}",
            attributes={"ocelli.job": job.id, "ocelli.attempt": job.attempts + 1},
        ):
            try:
                await run()
            finally:
                del self._started[job.id]

    async def _watch(self) -> None:
        """Native code cannot be interrupted: a stuck worker ends itself, and the sweep goes on."""
        while True:
            await asyncio.sleep(1.0)
            oldest = min(self._started.values(), default=time.monotonic())
            if time.monotonic() - oldest > self._job_timeout:
                log.error("a job is stuck after %.0f s; this worker ends", self._job_timeout)
                os._exit(STUCK)
