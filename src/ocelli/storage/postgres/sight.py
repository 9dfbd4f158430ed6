"""The table ``sight_tests``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.domain.sight import VALID_FOR, SightRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocelli.storage.postgres.database import PostgresDatabase

_FRESH = f"(sees IS NOT NULL AND tested_at > now() - interval '{VALID_FOR} seconds')"
_KEPT = "7 days"  # of backends that are gone


class PostgresSight:
    """See usecases.sight.SightStore."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def read(self, keys: Sequence[str]) -> Mapping[str, SightRecord]:
        """See SightStore."""
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                f"SELECT key, sees, reason, tested_at, {_FRESH} AS is_fresh FROM sight_tests"
                " WHERE key = ANY(%s)",
                (list(keys),),
            )
            rows = await cursor.fetchall()
        return {
            row["key"]: SightRecord(row["sees"], row["reason"], row["tested_at"], row["is_fresh"])
            for row in rows
        }

    async def claim(self, key: str, seconds: float) -> bool:
        """See SightStore."""
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                "INSERT INTO sight_tests AS known (key, claimed_until)"
                " VALUES (%(key)s, now() + make_interval(secs => %(seconds)s))"
                " ON CONFLICT (key) DO UPDATE SET claimed_until = excluded.claimed_until"
                " WHERE (known.claimed_until IS NULL OR known.claimed_until <= now())"
                " AND NOT coalesce(known.sees IS NOT NULL AND known.tested_at > now() -"
                " make_interval(secs => %(valid)s), false)",
                {"key": key, "seconds": seconds, "valid": VALID_FOR},
            )
        return cursor.rowcount == 1

    async def hold(self, key: str, seconds: float, reason: str | None = None) -> None:
        """See SightStore."""
        async with self._database.connection() as connection:
            await connection.execute(
                "UPDATE sight_tests SET claimed_until = now() + make_interval(secs => %s),"
                " reason = CASE WHEN sees IS NULL THEN coalesce(%s, reason) ELSE reason END"
                " WHERE key = %s",
                (seconds, reason, key),
            )

    async def write(self, key: str, *, sees: bool, reason: str) -> None:
        """See SightStore."""
        async with self._database.connection() as connection:
            await connection.execute(
                "INSERT INTO sight_tests (key, sees, reason, tested_at) VALUES (%s, %s, %s, now())"
                " ON CONFLICT (key) DO UPDATE SET sees = excluded.sees, reason = excluded.reason,"
                " tested_at = now(), claimed_until = NULL",
                (key, sees, reason),
            )
            await connection.execute(
                f"DELETE FROM sight_tests WHERE tested_at < now() - interval '{_KEPT}'"
            )

    async def doubt(self, key: str, reason: str) -> None:
        """See SightStore."""
        async with self._database.connection() as connection:
            await connection.execute(
                "UPDATE sight_tests SET sees = NULL, tested_at = NULL, reason = %s WHERE key = %s",
                (reason, key),
            )
