"""Erase pictures, and whole tenants, from every table.

What references a picture goes with its row. What names one without a reference is found here, by
its id in the text of the row; ``tests/integration/test_erasures.py`` walks through all tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ocelli.domain.images import StorageTarget
from ocelli.storage.postgres.rows import to_analysis

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.domain.analysis import Analysis
    from ocelli.storage.postgres.rows import Connection, Row

ERASED = "[erased]"
# Numbers of a picture's own rows, which go with it.
_DEPENDANTS = ("analyses", "edits", "variants", "text_vectors", "picture_vectors")
_OF_PICTURES = "tenant_id = %(tenant)s AND image_id = ANY(%(ids)s)"
# Rows that are deleted if they name one of the pictures: the column as text. Those of a fetch that
# is not paid yet stay; it is over within an hour.
_NAMING = {
    "webhook_deliveries": "payload",
    "requests": "CASE WHEN completed_at IS NULL THEN '' ELSE asked::text || body END",
    "responses": "encode(input, 'escape') || encode(body, 'escape')",
}
_ID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def _names(text: str) -> str:
    """Return the condition that a text names one of the pictures.

    It reads each text once; a pattern of a hundred ids takes fifty times as long.
    """
    return (
        f"EXISTS (SELECT FROM regexp_matches({text}, '{_ID}', 'gi') AS id"
        " WHERE lower(id[1]) = ANY(%(texts)s))"
    )


_TAGS = """
SELECT DISTINCT lower(tag) AS tag FROM (
    SELECT unnest(tags) AS tag FROM images WHERE id = ANY(%(ids)s)
    UNION ALL SELECT unnest(tags) FROM analyses WHERE image_id = ANY(%(ids)s)
    UNION ALL SELECT jsonb_array_elements_text(value) FROM edits
        WHERE image_id = ANY(%(ids)s) AND jsonb_typeof(value) = 'array') AS found
"""
_FORGET_TAGS = """
DELETE FROM known_tags WHERE tenant_id = %(tenant)s AND tag = ANY(%(tags)s) AND tag NOT IN (
    SELECT lower(tag) FROM images, unnest(tags) AS tag WHERE tenant_id = %(tenant)s
    UNION SELECT lower(tag) FROM analyses, unnest(tags) AS tag WHERE tenant_id = %(tenant)s)
"""
# From the question whose answer names a picture on, all may be about it, and so may the summary.
_CHATS = f"""
WITH named AS (
    SELECT m.session_id, min(m.place) / 2 * 2 AS place
    FROM chat_messages m JOIN chat_sessions s ON s.id = m.session_id
    WHERE s.tenant_id = %(tenant)s AND (m.image_ids && %(ids)s
        OR {_names("m.refs::text")} OR {_names("m.notes::text")}
        OR EXISTS (SELECT FROM regexp_matches(m.content, %(mark)s, 'g') AS id
            WHERE id[1] = ANY(%(prefixes)s)))
    GROUP BY m.session_id
), retitled AS (
    UPDATE chat_sessions s SET
        title = CASE WHEN n.place = 0 AND NOT is_named THEN %(erased)s ELSE title END,
        summary = CASE WHEN n.place < summarised THEN NULL ELSE summary END
    FROM named n WHERE n.session_id = s.id
)
UPDATE chat_messages m SET content = %(erased)s, image_ids = '{{}}', refs = '{{}}', notes = '{{}}'
FROM named n WHERE m.session_id = n.session_id AND m.place >= n.place
"""
_CHAT_SELECTIONS = """
UPDATE chat_sessions SET image_ids = ARRAY(SELECT unnest(image_ids) EXCEPT SELECT unnest(%(ids)s))
WHERE tenant_id = %(tenant)s AND image_ids && %(ids)s
"""
_PLANS = f"""
UPDATE organize_plans SET summary = %(erased)s, groups = (
    SELECT coalesce(jsonb_agg(jsonb_set(g.value, '{{image_ids}}', rest.ids)), '[]')
    FROM jsonb_array_elements(groups) AS g(value) CROSS JOIN LATERAL (
        SELECT jsonb_agg(e.image_id) AS ids
        FROM jsonb_array_elements_text(g.value -> 'image_ids') AS e(image_id)
        WHERE e.image_id <> ALL(%(texts)s)) AS rest
    WHERE rest.ids IS NOT NULL
), moves = (
    SELECT coalesce(jsonb_agg(m.value), '[]') FROM jsonb_array_elements(moves) AS m(value)
    WHERE m.value ->> 'image_id' <> ALL(%(texts)s))
WHERE tenant_id = %(tenant)s AND ({_names("groups::text")} OR {_names("moves::text")})
"""
_BATCHES = f"""
UPDATE batches SET inputs = (
    SELECT jsonb_agg(CASE WHEN {_names("input::text")} THEN '{{}}' ELSE input END ORDER BY place)
    FROM jsonb_array_elements(inputs) WITH ORDINALITY AS of(input, place))
WHERE tenant_id = %(tenant)s AND {_names("inputs::text")}
"""
# The answer was given; who sends the key again is told that it is not kept.
_ANSWERED = f"""
UPDATE idempotency_keys SET status = NULL, content_type = NULL, body = NULL
WHERE tenant_id = %(tenant)s AND {_names("encode(body, 'escape')")}
"""
_JOBS = """
DELETE FROM procrastinate_jobs WHERE status <> 'doing'
AND (args ->> 'image_id' = ANY(%(texts)s) OR args ->> 'analysis_id' = ANY(%(analyses)s))
"""
_AD_HOC = (
    f"tenant_id = %(tenant)s AND image_id IS NULL AND {_names('concat(object_key, source_url)')}"
)
_OBJECTS = f"""
SELECT object_key, storage_target FROM images WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s)
UNION SELECT v.object_key, i.storage_target FROM variants v JOIN images i ON i.id = v.image_id
    WHERE i.tenant_id = %(tenant)s AND i.id = ANY(%(ids)s)
UNION SELECT object_key, storage_target FROM items WHERE {_OF_PICTURES} AND object_key IS NOT NULL
UNION SELECT object_key, 'default' FROM exports e WHERE tenant_id = %(tenant)s
    AND object_key IS NOT NULL AND created_at >= (SELECT min(created_at) FROM images
        WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s))
"""
_EXPORTS = """
DELETE FROM exports WHERE tenant_id = %(tenant)s AND created_at >= (SELECT min(created_at)
    FROM images WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s))
"""
_TENANT_JOBS = """
DELETE FROM procrastinate_jobs j WHERE status <> 'doing' AND (EXISTS (
    SELECT FROM analyses a WHERE a.tenant_id = %(tenant)s AND a.id::text = j.args ->> 'analysis_id')
OR EXISTS (
    SELECT FROM exports e WHERE e.tenant_id = %(tenant)s AND e.id::text = j.args ->> 'export_id'))
"""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """An object, and in which kind of store it lies."""

    key: str
    target: StorageTarget


class PostgresErasing:
    """Deletes pictures and tenants, with all that says something of them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def objects(self, tenant_id: UUID, ids: Sequence[UUID]) -> Sequence[StoredKey]:
        """Return the objects of pictures, and exports that may have them in it."""
        rows = await self._rows(_OBJECTS, _values(tenant_id, ids))
        return [StoredKey(row["object_key"], StorageTarget(row["storage_target"])) for row in rows]

    async def is_there(self, tenant_id: UUID, ids: Sequence[UUID]) -> bool:
        """Return whether one of the pictures is; without ids, whether the tenant is."""
        rows = await self._rows(
            "SELECT FROM images WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s) LIMIT 1"
            if ids
            else "SELECT FROM tenants WHERE id = %(tenant)s",
            {"tenant": tenant_id, "ids": list(ids)},
        )
        return bool(rows)

    async def unfinished(self, ids: Sequence[UUID]) -> Sequence[Analysis]:
        """Return the unfinished analyses of pictures.

        Locks all of their analyses, which no worker ends any more until the transaction ends.
        """
        rows = await self._rows(
            "SELECT * FROM analyses WHERE image_id = ANY(%s) ORDER BY id FOR UPDATE", (list(ids),)
        )
        return [to_analysis(row) for row in rows if row["status"] in ("queued", "processing")]

    async def pictures(self, tenant_id: UUID, ids: Sequence[UUID]) -> dict[str, int]:
        """Delete pictures of a tenant, and what names them; return numbers by kind."""
        values = _values(tenant_id, ids)
        counts = await self._dependants(values)
        values["tags"] = [row["tag"] for row in await self._rows(_TAGS, values)]
        counts["chat_messages"] = await self._execute(_CHATS, values)
        counts["exports"] = await self._execute(_EXPORTS, values)
        await self._execute(_CHAT_SELECTIONS, values)
        await self._execute(_PLANS, values)
        await self._execute(_BATCHES, values)
        await self._execute(_ANSWERED, values)
        for table, text in _NAMING.items():
            where = f"{table} WHERE tenant_id = %(tenant)s AND {_names(text)}"
            counts[table] = await self._execute(f"DELETE FROM {where}", values)
        await self._execute(f"DELETE FROM analyses WHERE {_AD_HOC}", values)
        await self._execute(_JOBS, values)
        await self._execute(f"DELETE FROM items WHERE {_OF_PICTURES}", values)
        # Of rows of before it is not known whose they are; they are a cache.
        await self._execute(
            "DELETE FROM answers WHERE tenant_id = %(tenant)s AND (picture IS NULL OR picture IN"
            " (SELECT sha256 FROM images WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s)))",
            values,
        )
        where = "tenant_id = %(tenant)s AND id = ANY(%(ids)s)"
        counts["pictures"] = await self._execute(f"DELETE FROM images WHERE {where}", values)
        await self._execute(_FORGET_TAGS, values)
        return counts

    async def ids_of(self, tenant_id: UUID, *, limit: int) -> Sequence[UUID]:
        """Return ids of some pictures of a tenant, also of deleted ones."""
        rows = await self._rows(
            "SELECT id FROM images WHERE tenant_id = %s LIMIT %s", (tenant_id, limit)
        )
        return [row["id"] for row in rows]

    async def revoke_keys(self, tenant_id: UUID) -> None:
        """Revoke all keys of a tenant, so that nothing new comes."""
        await self._connection.execute(
            "UPDATE api_keys SET revoked_at = now() WHERE tenant_id = %s AND revoked_at IS NULL",
            (tenant_id,),
        )

    async def custom_objects(self, tenant_id: UUID) -> Sequence[str]:
        """Return the keys of a tenant's objects in a bucket of its own."""
        rows = await self._rows(
            "SELECT object_key FROM images WHERE tenant_id = %(tenant)s"
            " AND storage_target = 'custom' UNION SELECT v.object_key FROM variants v"
            " JOIN images i ON i.id = v.image_id WHERE i.tenant_id = %(tenant)s"
            " AND i.storage_target = 'custom' UNION SELECT object_key FROM items"
            " WHERE tenant_id = %(tenant)s AND storage_target = 'custom'"
            " AND object_key IS NOT NULL",
            {"tenant": tenant_id},
        )
        return [row["object_key"] for row in rows]

    async def some_of_tenant(self, tenant_id: UUID, ids: Sequence[UUID]) -> dict[str, int]:
        """Delete some pictures of a tenant that is erased, with what references them."""
        values = _values(tenant_id, ids)
        counts = await self._dependants(values)
        await self._execute(_JOBS, values)
        where = "tenant_id = %(tenant)s AND id = ANY(%(ids)s)"
        counts["pictures"] = await self._execute(f"DELETE FROM images WHERE {where}", values)
        return counts

    async def tenant(self, tenant_id: UUID) -> dict[str, int]:
        """Delete a tenant with all that is left of it; return numbers by kind."""
        values = {"tenant": tenant_id}
        counts = {
            table: await self._count(f"{table} WHERE tenant_id = %(tenant)s", values)
            for table in (*_DEPENDANTS[:2], "chat_sessions", "api_keys", "members", "exports")
        }
        await self._execute(_TENANT_JOBS, values)
        await self._execute("DELETE FROM tenants WHERE id = %(tenant)s", values)
        return counts

    async def _dependants(self, values: dict[str, Any]) -> dict[str, int]:
        """Count the rows that go with pictures; put the ids of their analyses into ``values``."""
        rows = await self._rows("SELECT id FROM analyses WHERE image_id = ANY(%(ids)s)", values)
        values["analyses"] = [str(row["id"]) for row in rows]
        return {
            table: await self._count(f"{table} WHERE image_id = ANY(%(ids)s)", values)
            for table in _DEPENDANTS
        }

    async def _count(self, rows: str, values: dict[str, Any]) -> int:
        (row,) = await self._rows(f"SELECT count(*) AS number FROM {rows}", values)
        return int(row["number"])

    async def _execute(self, sql: str, values: dict[str, Any]) -> int:
        cursor = await self._connection.execute(sql.encode(), values)
        return cursor.rowcount

    async def _rows(self, sql: str, values: Any) -> list[Row]:
        cursor = await self._connection.execute(sql.encode(), values)
        return await cursor.fetchall()


def _values(tenant_id: UUID, ids: Sequence[UUID]) -> dict[str, Any]:
    texts = [str(id) for id in ids]
    return {
        "tenant": tenant_id,
        "ids": list(ids),
        "texts": texts,
        "mark": r"\[\[img:([0-9a-f]{8})",
        "prefixes": [text[:8] for text in texts],
        "erased": ERASED,
    }
