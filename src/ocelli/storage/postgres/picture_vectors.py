"""The tables ``picture_vectors`` and ``picture_embedding_queue``: how pictures look, as vectors.

Vectors of one model have one length, which differs between models: each model has an index of its
own. Without the extension pgvector 0.8 there are none.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from psycopg import sql

from ocelli.storage.postgres.text_vectors import (
    Vectors,
    as_text,
    fetched,
    from_text,
    nearest,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.domain.file_query import FileQuery
    from ocelli.storage.postgres.rows import Connection, Row

MOST_INDEXED = 4_000  # dimensions that an index can hold
INDEX = "picture_vectors_nearest_"


class PostgresPictureVectors:
    """Stores the vectors of pictures, and finds the nearest ones."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def available(self) -> bool:
        """Return whether this database can keep vectors."""
        return bool(
            await self._rows(
                "SELECT 1 FROM pg_attribute WHERE attrelid = 'picture_vectors'::regclass"
                " AND attname = 'vector' AND NOT attisdropped"
            )
        )

    async def enqueue_missing(self, model: str) -> int:
        """Enqueue the pictures that ``model`` has not embedded; return how many."""
        cursor = await self._connection.execute(
            "INSERT INTO picture_embedding_queue (image_id) SELECT l.image_id FROM library l"
            " LEFT JOIN picture_vectors v ON v.image_id = l.image_id AND v.model = %s"
            " WHERE v.image_id IS NULL ON CONFLICT DO NOTHING",
            (model,),
        )
        return cursor.rowcount

    async def enqueue_all(self) -> None:
        """Forget all vectors, and enqueue every picture."""
        await self._connection.execute("DELETE FROM picture_vectors")
        await self._connection.execute(
            "INSERT INTO picture_embedding_queue (image_id) SELECT image_id FROM library"
            " ON CONFLICT DO NOTHING"
        )

    async def waiting_longest(self, limit: int) -> Sequence[UUID]:
        """Return the pictures that wait longest."""
        rows = await self._rows(
            "SELECT image_id FROM picture_embedding_queue ORDER BY number LIMIT %s", (limit,)
        )
        return [row["image_id"] for row in rows]

    async def waiting(self) -> int:
        """Return the length of the queue."""
        (row,) = await self._rows("SELECT count(*) AS waiting FROM picture_embedding_queue")
        return int(row["waiting"])

    async def settle(self, image_id: UUID) -> None:
        """Remove a picture from the queue."""
        await self._connection.execute(
            "DELETE FROM picture_embedding_queue WHERE image_id = %s", (image_id,)
        )

    async def has(self, image_id: UUID, *, model: str) -> bool:
        """Return whether ``model`` has embedded a picture, or could not."""
        return bool(
            await self._rows(
                "SELECT 1 FROM picture_vectors WHERE image_id = %s AND model = %s",
                (image_id, model),
            )
        )

    async def put(self, image_id: UUID, vector: Sequence[float] | None, *, model: str) -> None:
        """Store the vector of a picture in the place of an older one; None: there can be none.

        Does nothing for a picture that is not in the library any more.
        """
        await self._connection.execute(
            "INSERT INTO picture_vectors (image_id, tenant_id, model, vector)"
            " SELECT image_id, tenant_id, %s, %s::halfvec FROM library WHERE image_id = %s"
            " ON CONFLICT (image_id) DO UPDATE SET model = excluded.model,"
            " vector = excluded.vector",
            (model, None if vector is None else as_text(vector), image_id),
        )

    async def index(self, dimensions: int, *, model: str) -> None:
        """Make the index of a model, if it is missing, and drop those of other models."""
        wanted = _index(model, dimensions)
        rows = await self._rows(
            "SELECT indexname FROM pg_indexes WHERE tablename = 'picture_vectors'"
            f" AND schemaname = current_schema AND indexname LIKE '{INDEX}%%'",
            (),
        )
        present = {row["indexname"] for row in rows}
        for name in present - {wanted}:
            await self._connection.execute(
                sql.SQL("DROP INDEX IF EXISTS {}").format(sql.Identifier(name))
            )
        if wanted not in present and dimensions <= MOST_INDEXED:
            await self._connection.execute(
                sql.SQL(
                    "CREATE INDEX IF NOT EXISTS {} ON picture_vectors USING hnsw"
                    " ((vector::halfvec({})) halfvec_ip_ops) WHERE model = {}"
                ).format(sql.Identifier(wanted), sql.Literal(dimensions), sql.Literal(model))
            )

    async def nearest(
        self, query: FileQuery, tenant_id: UUID, vector: Sequence[float], *, model: str, limit: int
    ) -> Sequence[tuple[UUID, float]]:
        """See ``PostgresTextVectors.nearest``."""
        of_model = sql.SQL("model = {}").format(sql.Literal(model)).as_string(None)
        among = Vectors(
            "picture_vectors",
            model,
            f"vector::halfvec({len(vector)})",
            of_model.replace("%", "%%"),  # written out: indexes are of one model each
        )
        return await nearest(self._connection, among, query, tenant_id, vector, limit=limit)

    async def stored(self, image_id: UUID) -> tuple[list[float], str] | None:
        """Return the vector of a picture and its model, or None."""
        rows = await self._rows(
            "SELECT vector::text, model FROM picture_vectors"
            " WHERE image_id = %s AND vector IS NOT NULL",
            (image_id,),
        )
        return (from_text(rows[0]["vector"]), rows[0]["model"]) if rows else None

    async def _rows(self, statement: str, values: Any = None) -> list[Row]:
        return await fetched(self._connection, statement, values)


def _index(model: str, dimensions: int) -> str:
    return INDEX + hashlib.sha256(f"{model} {dimensions}".encode()).hexdigest()[:16]
