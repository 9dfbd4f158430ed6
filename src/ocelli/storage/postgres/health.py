"""Health and metrics of the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.domain.jobs import QueueState

if TYPE_CHECKING:
    from ocelli.storage.postgres.rows import Connection

HEARTBEAT_TIMEOUT = 5.0


async def worker_alive(connection: Connection) -> None:
    """Raise LookupError if no worker has sent a heartbeat for ``HEARTBEAT_TIMEOUT`` seconds."""
    cursor = await connection.execute(
        "SELECT count(*) AS alive FROM procrastinate_workers"
        " WHERE last_heartbeat > now() - make_interval(secs => %s)",
        (HEARTBEAT_TIMEOUT,),
    )
    row = await cursor.fetchone()
    if not row or not row["alive"]:
        raise LookupError("no worker is alive; start one with `ocelli worker`")


async def queue_state(connection: Connection) -> QueueState:
    """Return the numbers of jobs, the waiting times of the oldest, and the number of workers."""
    jobs = await connection.execute(
        "SELECT task_name, status::text, count(*) AS jobs FROM procrastinate_jobs GROUP BY 1, 2"
    )
    oldest = await connection.execute(
        "SELECT job.task_name, extract(epoch FROM now() - min(event.at))::float AS seconds"
        " FROM procrastinate_jobs AS job JOIN procrastinate_events AS event"
        " ON event.job_id = job.id AND event.type = 'deferred'"
        " WHERE job.status = 'todo' AND coalesce(job.scheduled_at, now()) <= now() GROUP BY 1"
    )
    workers = await connection.execute(
        "SELECT count(*) AS alive FROM procrastinate_workers"
        " WHERE last_heartbeat > now() - make_interval(secs => %s)",
        (HEARTBEAT_TIMEOUT,),
    )
    alive = await workers.fetchone()
    return QueueState(
        {(each["task_name"], each["status"]): each["jobs"] for each in await jobs.fetchall()},
        {each["task_name"]: each["seconds"] for each in await oldest.fetchall()},
        alive["alive"] if alive else 0,
    )
