"""The tables ``text_vectors`` and ``embedding_queue``: the vectors, and which pictures need one.

Vectors need the extension pgvector, 0.8 or newer. Without it there are none, searches use words
only, and the queue waits for the day it is installed.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from ocelli.storage.postgres.library import conditions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.domain.file_query import FileQuery
    from ocelli.storage.postgres.rows import Connection, Row

log = logging.getLogger(__name__)

DIMENSIONS = 384  # of the embedder
# So many vectors are compared one by one, which is exact: some ten milliseconds. More are searched
# with the index, which is not.
MOST_COMPARED = 20_000
# Neighbours that the index visits at least, and at most before it ends without enough of a tenant.
INDEX_BREADTH, INDEX_LIMIT = 400, 100_000

INDEX = (
    "CREATE INDEX IF NOT EXISTS text_vectors_nearest ON text_vectors"
    " USING hnsw (vector halfvec_ip_ops);"
)
_PREPARE = f"""
CREATE EXTENSION IF NOT EXISTS vector;
ALTER TABLE text_vectors ADD COLUMN IF NOT EXISTS vector halfvec({DIMENSIONS});
ALTER TABLE text_vectors ALTER COLUMN vector SET STORAGE PLAIN;
{INDEX}
ALTER TABLE picture_vectors ADD COLUMN IF NOT EXISTS vector halfvec;
"""
_IS_PREPARED = (
    "SELECT 1 FROM pg_attribute WHERE attrelid = 'text_vectors'::regclass"
    " AND attname = 'vector' AND NOT attisdropped"
)
_ARE_PREPARED = _IS_PREPARED + " AND EXISTS (" + _IS_PREPARED.replace("text_", "picture_") + ")"


@dataclass(frozen=True, slots=True)
class QueuedText:
    """A picture in the queue; ``number`` tells whether it has changed since it was read."""

    image_id: UUID
    number: int


def prepare(connection: psycopg.Connection[Any]) -> str | None:
    """Add the columns of vectors that are missing. Return why that is not possible, or None."""
    if connection.execute(_ARE_PREPARED).fetchone():
        return None
    try:
        with connection.transaction():
            connection.execute(_PREPARE)
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        reason = (error.diag.message_primary or str(error)).strip()
        log.warning(
            "Searches find words, not meaning: the extension pgvector 0.8 cannot be used (%s)."
            " Install it, or let an administrator run CREATE EXTENSION vector, and start again.",
            reason,
        )
        return reason
    return None


class PostgresTextVectors:
    """Stores the vectors of pictures, and finds the nearest ones."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def available(self) -> bool:
        """Return whether this database can keep vectors."""
        return bool(await self._rows(_IS_PREPARED))

    async def waiting_longest(self, limit: int) -> Sequence[QueuedText]:
        """Return the pictures that wait longest."""
        rows = await self._rows(
            "SELECT image_id, number FROM embedding_queue ORDER BY number LIMIT %s", (limit,)
        )
        return [QueuedText(row["image_id"], row["number"]) for row in rows]

    async def queued(self, image_id: UUID) -> QueuedText | None:
        """Return the entry of a picture in the queue, or None."""
        rows = await self._rows(
            "SELECT image_id, number FROM embedding_queue WHERE image_id = %s", (image_id,)
        )
        return QueuedText(rows[0]["image_id"], rows[0]["number"]) if rows else None

    async def settle(self, taken: QueuedText) -> bool:
        """Remove an entry; False if it was settled, or the picture has changed since."""
        cursor = await self._connection.execute(
            "DELETE FROM embedding_queue WHERE image_id = %s AND number = %s",
            (taken.image_id, taken.number),
        )
        return cursor.rowcount == 1

    async def waiting(self) -> int:
        """Return the length of the queue."""
        (row,) = await self._rows("SELECT count(*) AS waiting FROM embedding_queue")
        return int(row["waiting"])

    async def enqueue_other_models(self, model: str) -> int:
        """Enqueue the pictures whose vectors another model made; return how many."""
        cursor = await self._connection.execute(
            "INSERT INTO embedding_queue (image_id) SELECT image_id FROM text_vectors"
            " WHERE model <> %s ON CONFLICT DO NOTHING",
            (model,),
        )
        return cursor.rowcount

    async def enqueue_all(self) -> int:
        """Enqueue every described picture, and forget its vector; return how many."""
        await self._connection.execute("DELETE FROM text_vectors")
        cursor = await self._connection.execute(
            "INSERT INTO embedding_queue (image_id) SELECT image_id FROM library WHERE described"
            " ON CONFLICT DO NOTHING"
        )
        return cursor.rowcount

    async def is_current(self, image_id: UUID, model: str, text_hash: bytes) -> bool:
        """Return whether a picture has a vector of these words, by this model."""
        return bool(
            await self._rows(
                "SELECT 1 FROM text_vectors WHERE image_id = %s AND model = %s AND text_hash = %s"
                " AND vector IS NOT NULL",
                (image_id, model, text_hash),
            )
        )

    async def put(
        self,
        image_id: UUID,
        tenant_id: UUID,
        vector: Sequence[float],
        *,
        model: str,
        text_hash: bytes,
    ) -> None:
        """Store the vector of a picture, in the place of an older one."""
        await self._connection.execute(
            "INSERT INTO text_vectors (image_id, tenant_id, model, text_hash, vector)"
            " VALUES (%s, %s, %s, %s, %s::halfvec) ON CONFLICT (image_id) DO UPDATE"
            " SET model = excluded.model, text_hash = excluded.text_hash, vector = excluded.vector",
            (image_id, tenant_id, model, text_hash, as_text(vector)),
        )

    async def nearest(
        self, query: FileQuery, tenant_id: UUID, vector: Sequence[float], *, model: str, limit: int
    ) -> Sequence[tuple[UUID, float]]:
        """Return the ids of the nearest pictures and their cosines, the nearest first.

        Only those that match ``query``, of which the order does not count. Exact where these are at
        most ``MOST_COMPARED``.
        """
        among = Vectors("text_vectors", model)
        return await nearest(self._connection, among, query, tenant_id, vector, limit=limit)

    async def vector_of(self, image_id: UUID, *, model: str) -> list[float] | None:
        """Return the vector of a picture by this model, or None."""
        rows = await self._rows(
            "SELECT vector::text FROM text_vectors"
            " WHERE image_id = %s AND model = %s AND vector IS NOT NULL",
            (image_id, model),
        )
        return from_text(rows[0]["vector"]) if rows else None

    async def _rows(self, sql: str, values: Any = None) -> list[Row]:
        return await fetched(self._connection, sql, values)


@dataclass(frozen=True, slots=True)
class Vectors:
    """Vectors of one model in a table.

    ``vector`` is the expression that an index holds, ``of_model`` what selects those of the model,
    with its name as ``%(model)s``.
    """

    table: str
    model: str
    vector: str = "vector"
    of_model: str = "model = %(model)s"


async def nearest(
    connection: Connection,
    among: Vectors,
    query: FileQuery,
    tenant_id: UUID,
    vector: Sequence[float],
    *,
    limit: int,
) -> Sequence[tuple[UUID, float]]:
    """Return the ids of the nearest pictures and their cosines, the nearest first.

    See ``PostgresTextVectors.nearest``.
    """
    where, values = conditions(tenant_id, query)
    values |= {"vector": as_text(vector), "model": among.model, "limit": limit}
    if query.filters_nothing:
        matching = "tenant_id = %(tenant)s"
    else:
        matching = f"image_id IN (SELECT image_id FROM library WHERE {where})"
    distance = f"{among.vector} <#> %(vector)s::halfvec"
    if await _are_few(connection, among, matching, values):
        order = f"({distance}) + 0"  # which no index answers
    else:
        order = distance
        await connection.execute(
            "SELECT set_config('hnsw.iterative_scan', 'strict_order', true),"
            " set_config('hnsw.ef_search', %s, true),"
            " set_config('hnsw.max_scan_tuples', %s, true)",
            (str(INDEX_BREADTH), str(INDEX_LIMIT)),
        )
    rows = await fetched(
        connection,
        f"SELECT image_id, -({distance}) AS cosine FROM {among.table}"
        f" WHERE {matching} AND {among.of_model} AND vector IS NOT NULL"
        f" ORDER BY {order} LIMIT %(limit)s",
        values,
    )
    return [(row["image_id"], row["cosine"]) for row in rows]


async def fetched(connection: Connection, sql: str, values: Any = None) -> list[Row]:
    """Return all rows of a query."""
    cursor = await connection.execute(sql.encode(), values)
    return await cursor.fetchall()


def as_text(vector: Sequence[float]) -> str:
    """Return a vector as Postgres reads it."""
    return f"[{','.join(f'{value:.6g}' for value in vector)}]"


def from_text(text: str) -> list[float]:
    """Read a vector that Postgres wrote."""
    return [float(value) for value in text.strip("[]").split(",")]


async def _are_few(
    connection: Connection, among: Vectors, matching: str, values: dict[str, Any]
) -> bool:
    (row,) = await fetched(
        connection,
        f"SELECT count(*) AS few FROM (SELECT 1 FROM {among.table} WHERE {matching}"
        f" LIMIT {MOST_COMPARED + 1}) AS counted",
        values,
    )
    return int(row["few"]) <= MOST_COMPARED
