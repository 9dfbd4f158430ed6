"""How the queue is doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ocelli.storage.postgres.rows import Connection

ALIVE_WITHIN = 5.0


async def worker_alive(connection: Connection) -> None:
    """Raise LookupError if no worker has been heard of for five seconds."""
    cursor = await connection.execute(
        "SELECT count(*) AS alive FROM procrastinate_workers"
        " WHERE last_heartbeat > now() - make_interval(secs => %s)",
        (ALIVE_WITHIN,),
    )
    row = await cursor.fetchone()
    if not row or not row["alive"]:
        raise LookupError("no worker is alive; start one with `ocelli worker`")


async def queue_gauges(connection: Connection) -> dict[str, dict[str, float]]:
    """Metrics: name to status to value."""
    jobs = await connection.execute(
        "SELECT status::text, count(*) AS jobs FROM procrastinate_jobs GROUP BY status"
    )
    workers = await connection.execute(
        "SELECT count(*) FILTER (WHERE last_heartbeat > now() - make_interval(secs => %s)) AS alive"
        " FROM procrastinate_workers",
        (ALIVE_WITHIN,),
    )
    row = await workers.fetchone()
    return {
        "ocelli_jobs": {each["status"]: each["jobs"] for each in await jobs.fetchall()},
        "ocelli_workers": {"alive": row["alive"] if row else 0},
    }
