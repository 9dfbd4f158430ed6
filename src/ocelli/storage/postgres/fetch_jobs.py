"""The table ``requests``, and the tenants' credits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from ocelli.domain.analysis import ANSWERS_KEPT_FOR
from ocelli.domain.fetch_jobs import CreditBalance, FetchJob, FetchRequest
from ocelli.domain.pricing import PricingPlan
from ocelli.storage.postgres.analyses import ANSWERS

if TYPE_CHECKING:
    from uuid import UUID

    from ocelli.storage.postgres.rows import Connection, Row

_MAX_COUNT = 1_000

_parameters = TypeAdapter(FetchRequest)
_plan = TypeAdapter(PricingPlan)


class PostgresFetchJobs:
    """The repository of fetch jobs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, request: FetchJob, body: str) -> None:
        """Insert a fetch job; ``body`` is the answer to polls until it is finished."""
        await self._connection.execute(
            "INSERT INTO requests (id, tenant_id, user_id, asked, plan, reserved, body, created_at)"
            " VALUES (%s, %s, %s, %s::jsonb, %s::jsonb, %s, %s, %s)",
            (
                request.id,
                request.tenant_id,
                request.user_id,
                _parameters.dump_json(request.parameters).decode(),
                _plan.dump_json(request.plan).decode(),
                request.reserved,
                body,
                request.created_at,
            ),
        )

    async def unfinished(self, tenant_id: UUID) -> int:
        """Count the unfinished fetch jobs of a tenant, up to ``_MAX_COUNT``."""
        cursor = await self._connection.execute(
            "SELECT count(*) AS found FROM (SELECT 1 FROM requests WHERE tenant_id = %s"
            " AND completed_at IS NULL LIMIT %s) AS first_ones",
            (tenant_id, _MAX_COUNT),
        )
        row = await cursor.fetchone()
        return row["found"] if row else 0

    async def exists(self, id: UUID) -> bool:
        """Return whether this id is that of a fetch job, finished or not."""
        cursor = await self._connection.execute("SELECT 1 FROM requests WHERE id = %s", (id,))
        return await cursor.fetchone() is not None

    async def lock(self, id: UUID) -> FetchJob | None:
        """Lock a fetch job until the transaction ends; None if it is unknown or finished."""
        cursor = await self._connection.execute(
            "SELECT * FROM requests WHERE id = %s AND completed_at IS NULL FOR UPDATE", (id,)
        )
        row = await cursor.fetchone()
        return _to_request(row) if row else None

    async def reserve(self, id: UUID, credits: int) -> None:
        """Add to the reserved credits."""
        await self._connection.execute(
            "UPDATE requests SET reserved = reserved + %s WHERE id = %s", (credits, id)
        )

    async def cancel(self, id: UUID) -> None:
        """Note that it was cancelled; ``settle`` must follow in the same transaction."""
        await self._connection.execute(
            "UPDATE requests SET cancelled_at = clock_timestamp() WHERE id = %s", (id,)
        )

    async def finish(self, id: UUID, *, paid: int, body: str) -> None:
        """Store the final body; waiting clients are notified with the commit."""
        await self._connection.execute(
            "UPDATE requests SET paid = %s, body = %s, completed_at = clock_timestamp()"
            " WHERE id = %s",
            (paid, body, id),
        )
        await self._connection.execute("SELECT pg_notify(%s, %s)", (ANSWERS, str(id)))

    async def body(self, tenant_id: UUID, id: UUID) -> tuple[str, bool] | None:
        """Return the body for polls, and whether it is final; None if unknown or expired."""
        cursor = await self._connection.execute(
            "SELECT body, completed_at IS NOT NULL AS finished FROM requests"
            " WHERE id = %s AND tenant_id = %s AND (completed_at IS NULL"
            " OR completed_at > now() - make_interval(secs => %s))",
            (id, tenant_id, ANSWERS_KEPT_FOR),
        )
        row = await cursor.fetchone()
        return (row["body"], row["finished"]) if row else None

    async def purge(self, *, older_than: float) -> int:
        """Delete fetch jobs that ended ``older_than`` seconds ago."""
        cursor = await self._connection.execute(
            "DELETE FROM requests WHERE completed_at < now() - make_interval(secs => %s)",
            (older_than,),
        )
        return cursor.rowcount


class PostgresCredits:
    """The tenants' balances, exact under concurrency.

    Each change is one statement that checks and counts.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def balance(self, tenant_id: UUID) -> CreditBalance:
        """Return the balance."""
        return await self._changed("SELECT {} FROM tenants WHERE id = %s", tenant_id)

    async def take(self, tenant_id: UUID, credits: int) -> bool:
        """Take credits; False, and nothing taken, if there are fewer.

        Locks the balance until the commit: must come last in its transaction.
        """
        cursor = await self._connection.execute(
            "UPDATE tenants SET credits = credits - %s"
            " WHERE id = %s AND (unmetered OR credits >= %s)",
            (credits, tenant_id, credits),
        )
        return cursor.rowcount == 1

    async def give(self, tenant_id: UUID, credits: int) -> CreditBalance:
        """Add credits; return the balance."""
        return await self._changed(
            "UPDATE tenants SET credits = credits + %s WHERE id = %s RETURNING {}",
            credits,
            tenant_id,
        )

    async def give_to(self, tenant: str, credits: int) -> CreditBalance | None:
        """Add credits of the tenant of this name; return the balance, None if there is none."""
        cursor = await self._connection.execute(
            "UPDATE tenants SET credits = credits + %s WHERE name = %s RETURNING"
            " number, credits, unmetered",
            (credits, tenant),
        )
        row = await cursor.fetchone()
        return CreditBalance(**row) if row else None

    async def _changed(self, statement: str, *values: object) -> CreditBalance:
        cursor = await self._connection.execute(
            statement.format("number, credits, unmetered").encode(), values
        )
        row = await cursor.fetchone()
        assert row is not None  # keys are of tenants that exist
        return CreditBalance(**row)


def _to_request(row: Row) -> FetchJob:
    return FetchJob(
        id=row["id"],
        tenant_id=row["tenant_id"],
        user_id=row["user_id"],
        parameters=_parameters.validate_python(row["asked"]),
        plan=_plan.validate_python(row["plan"]),
        reserved=row["reserved"],
        created_at=row["created_at"],
        completed_at=row["completed_at"],
    )
