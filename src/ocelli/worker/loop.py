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

HEARTBEAT_INTERVAL = 1.0
STALLED_TIMEOUT = 3.5
DATABASE_RETRY_INTERVAL = 1.0
DISK_RETRY_INTERVAL = 30  # seconds
EXIT_STUCK = 75  # exit code; EX_TEMPFAIL

HOUSEKEEPING = "housekeeping"
HOUSEKEEPING_ATTEMPTS = 30  # for half an hour at least; then the next one is near
FAILED_JOBS_KEPT_HOURS = 7 * 24


class Backoff(procrastinate.BaseRetryStrategy):
    """Retries after 1, 2, 4, … seconds (at most 60), with ``attempts`` attempts in all."""

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
    """One worker process. ``concurrency`` jobs overlap their waiting; one thread computes.

    ``check_database`` raises Unavailable while there is no database. The jobs named in ``untimed``
    may take longer than ``job_timeout`` seconds. The ``services`` run beside them until their event
    is set.
    """

    def __init__(
        self,
        dsn: str,
        jobs: Mapping[str, Job],
        housekeeping: Housekeeping,
        try_lock: TryLock,
        pool: Callable[..., Any],
        check_database: Callable[[], Awaitable[None]],
        *,
        periodic_tasks: Sequence[Callable[[], Awaitable[Any]]] = (),
        services: Sequence[Callable[[asyncio.Event], Awaitable[None]]] = (),
        max_attempts: int,
        job_timeout: float,
        untimed: Collection[str] = (),
        concurrency: int = 2,
    ) -> None:
        self._jobs = jobs
        self._housekeeping = housekeeping
        self._try_lock = try_lock
        self._check_database = check_database
        self._periodic_tasks = periodic_tasks
        self._services = services
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
            running = self._runner(job, watched=name not in untimed)
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
                periodic_tasks=self._periodic_tasks,
                max_attempts=self._max_attempts,
            )
            ended = asyncio.Event()
            helpers = [
                asyncio.create_task(sweep.run(ended, STALLED_TIMEOUT), name="sweep"),
                asyncio.create_task(self._end_if_stuck(), name="watch"),
                *(asyncio.ensure_future(service(ended)) for service in self._services),
            ]
            worker = asyncio.create_task(
                self._app.run_worker_async(
                    concurrency=self._concurrency,
                    update_heartbeat_interval=HEARTBEAT_INTERVAL,
                    stalled_worker_timeout=STALLED_TIMEOUT,
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
        """Wait until the database answers, or for ``stop``; return whether it answers.

        Without it the queue's pool would try once, and then wait 30 s.
        """
        logged = False
        while not stop.is_set():
            try:
                await self._check_database()
                return True
            except Unavailable as error:
                if not logged:
                    log.warning("waiting: %s", error)
                logged = True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), DATABASE_RETRY_INTERVAL)
        return False

    def _runner(self, job: Job, *, watched: bool) -> Callable[..., Awaitable[None]]:
        """Return the task function of a job; ``watched`` ones must end within ``job_timeout``."""

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
        """Enqueue the job again for later, as no attempt: accepted work waits for disk space.

        The lock of the job lets the new one begin when this one has ended. If the worker dies in
        between, this one is tried again as well, and the second to run finds the work done.
        """
        await self._app.configure_task(
            job.task_name,
            queue=job.queue,
            lock=job.lock,
            priority=job.priority,
            schedule_in={"seconds": DISK_RETRY_INTERVAL},
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
        try:
            await run()
        finally:
            del self._started[job.id]

    async def _end_if_stuck(self) -> None:
        """End the process if a job exceeds ``job_timeout``: native code cannot be interrupted."""
        while True:
            await asyncio.sleep(1.0)
            oldest = min(self._started.values(), default=time.monotonic())
            if time.monotonic() - oldest > self._job_timeout:
                log.error("a job is stuck after %.0f s; this worker ends", self._job_timeout)
                os._exit(EXIT_STUCK)
