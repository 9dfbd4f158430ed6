"""The table ``answers``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.storage.postgres.rows import answer_to_json, to_answer

if TYPE_CHECKING:
    from uuid import UUID

    from ocelli.domain.analysis import AnalysisAnswer
    from ocelli.storage.postgres.rows import Connection


class PostgresAnswers:
    """A tenant's cache of answers, by ``engine.answer_key``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get(self, tenant_id: UUID, key: bytes) -> AnalysisAnswer | None:
        """Return the stored answer, or None."""
        cursor = await self._connection.execute(
            "SELECT answer FROM answers WHERE tenant_id = %s AND key = %s", (tenant_id, key)
        )
        row = await cursor.fetchone()
        return to_answer(row["answer"]) if row else None

    async def put(
        self, tenant_id: UUID, key: bytes, answer: AnalysisAnswer, *, picture: bytes
    ) -> None:
        """Store an answer about ``picture``, a SHA-256, unless there is one."""
        await self._connection.execute(
            "INSERT INTO answers (tenant_id, key, answer, picture) VALUES (%s, %s, %s::jsonb, %s)"
            " ON CONFLICT DO NOTHING",
            (tenant_id, key, answer_to_json(answer), picture),
        )

    async def purge(self, *, older_than: float) -> int:
        """Delete answers older than ``older_than`` seconds; return how many."""
        cursor = await self._connection.execute(
            "DELETE FROM answers WHERE created_at < now() - make_interval(secs => %s)",
            (older_than,),
        )
        return cursor.rowcount
