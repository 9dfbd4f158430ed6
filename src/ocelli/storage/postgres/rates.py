"""The table ``rate_windows``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.domain.rates import Grant

if TYPE_CHECKING:
    from ocelli.domain.rates import Budget
    from ocelli.storage.postgres.rows import Connection


class PostgresRates:
    """The requests per key and minute, shared by all processes.

    Nothing here waits for the disk: after a crash of Postgres a minute may be off by what was
    counted in its last half second.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def lease(self, budget: Budget, *, needed: int, requested: int) -> Grant:
        """Lease ``needed`` requests if available, and up to ``requested`` if enough remain."""
        cursor = await self._connection.execute(
            "SELECT granted, free, reset, seconds_left,"
            " set_config('synchronous_commit', 'off', true)"
            " FROM lease_requests(%s, %s, %s, %s, %s)",
            (budget.key_id, budget.route, budget.per_minute, needed, requested),
        )
        row = await cursor.fetchone()
        assert row is not None
        return Grant(row["granted"], row["free"], row["reset"], row["seconds_left"])

    async def give_back(self, budget: Budget, count: int, *, reset: int) -> None:
        """Give requests back to the minute that ends at ``reset`` (Unix seconds)."""
        await self._connection.execute(
            "UPDATE rate_windows SET used = greatest(0, used - %s)"
            " WHERE key_id = %s AND route = %s AND minute = %s",
            (count, budget.key_id, budget.route, reset // 60 - 1),
        )
