"""The table ``responses``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.domain.responses import StoredResponse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.storage.postgres.rows import Connection, Row

_COLUMNS = "id, previous_id, input, body"


class PostgresResponses:
    """Answers of the Responses API, by tenant."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, tenant_id: UUID, response: StoredResponse) -> None:
        """Store a new one."""
        await self._connection.execute(
            "INSERT INTO responses (tenant_id, id, previous_id, input, body)"
            " VALUES (%s, %s, %s, %s, %s)",
            (tenant_id, response.id, response.previous_id, response.input, response.body),
        )

    async def get(self, tenant_id: UUID, id: UUID) -> StoredResponse | None:
        """Return it, or None."""
        cursor = await self._connection.execute(
            f"SELECT {_COLUMNS} FROM responses WHERE tenant_id = %s AND id = %s", (tenant_id, id)
        )
        row = await cursor.fetchone()
        return None if row is None else _to_response(row)

    async def chain(self, tenant_id: UUID, id: UUID, *, limit: int) -> Sequence[StoredResponse]:
        """Return it and those that it goes on from, the last first, at most ``limit``."""
        cursor = await self._connection.execute(
            "WITH RECURSIVE chain AS ("
            " SELECT r.*, 1 AS depth FROM responses r WHERE tenant_id = %(tenant)s AND id = %(id)s"
            " UNION ALL SELECT r.*, chain.depth + 1 FROM responses r JOIN chain"
            " ON r.tenant_id = chain.tenant_id AND r.id = chain.previous_id"
            " WHERE chain.depth < %(limit)s)"
            f" SELECT {_COLUMNS} FROM chain ORDER BY depth",
            {"tenant": tenant_id, "id": id, "limit": limit},
        )
        return [_to_response(row) for row in await cursor.fetchall()]

    async def delete(self, tenant_id: UUID, id: UUID) -> bool:
        """Delete it; return whether there was one."""
        cursor = await self._connection.execute(
            "DELETE FROM responses WHERE tenant_id = %s AND id = %s", (tenant_id, id)
        )
        return cursor.rowcount == 1

    async def purge(self, *, older_than: float) -> int:
        """Delete those older than ``older_than`` seconds; return how many."""
        cursor = await self._connection.execute(
            "DELETE FROM responses WHERE created_at < now() - make_interval(secs => %s)",
            (older_than,),
        )
        return cursor.rowcount


def _to_response(row: Row) -> StoredResponse:
    return StoredResponse(row["id"], row["previous_id"], row["input"], row["body"])
