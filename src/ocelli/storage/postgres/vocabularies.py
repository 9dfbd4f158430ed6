"""The tables ``vocabularies``, ``vocabulary_terms`` and ``vocabulary_vectors``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg.types.json import Jsonb

from ocelli.domain.ids import uuid_of
from ocelli.domain.vocabulary import Vocabulary, clean, from_json, name_key, to_json
from ocelli.storage.postgres.rows import to_default_vocabulary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from ocelli.domain.paging import PageRequest
    from ocelli.domain.tagging import TagVocabulary
    from ocelli.domain.vocabulary import Term, Terms
    from ocelli.storage.postgres.rows import Connection, Row

_COLUMNS = "id, name, term_count, digest, created_at, updated_at"


class PostgresVocabularies:
    """The vocabularies of tenants, with their terms and vectors."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def lock(self, tenant_id: UUID) -> int:
        """Let others wait who would add one to the tenant; return how many it has."""
        await self._connection.execute(
            "SELECT 1 FROM tenants WHERE id = %s FOR NO KEY UPDATE", (tenant_id,)
        )
        cursor = await self._connection.execute(
            "SELECT count(*) AS count FROM vocabularies WHERE tenant_id = %s", (tenant_id,)
        )
        row = await cursor.fetchone()
        return int(row["count"]) if row else 0

    async def put(self, tenant_id: UUID, name: str, terms: Terms) -> Vocabulary:
        """Store a vocabulary in the place of the one with this name, if there is one."""
        cursor = await self._connection.execute(
            "INSERT INTO vocabularies AS v (tenant_id, name, name_key, term_count, digest)"
            " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (tenant_id, name_key) DO UPDATE"
            " SET name = excluded.name, term_count = excluded.term_count,"
            " digest = excluded.digest, updated_at = clock_timestamp()"
            f" RETURNING {_COLUMNS}",
            (tenant_id, name, name_key(name), len(terms.terms), terms.digest),
        )
        row = await cursor.fetchone()
        assert row is not None
        stored = _to_vocabulary(row)
        await self._connection.execute(
            "DELETE FROM vocabulary_terms WHERE vocabulary_id = %s", (stored.id,)
        )
        await self._connection.execute(
            "INSERT INTO vocabulary_terms (vocabulary_id, position, term)"
            " SELECT %s, n - 1, term FROM unnest(%s::jsonb[]) WITH ORDINALITY AS t (term, n)",
            (stored.id, [Jsonb(to_json(each)) for each in terms.terms]),
        )
        await self._connection.execute(
            "DELETE FROM vocabulary_vectors WHERE vocabulary_id = %s AND name <> ALL (%s)",
            (stored.id, list({name for each in terms.terms for name in each.names})),
        )
        return stored

    async def all(self, tenant_id: UUID) -> Sequence[Vocabulary]:
        """Return those of a tenant, by name."""
        cursor = await self._connection.execute(
            f"SELECT {_COLUMNS} FROM vocabularies WHERE tenant_id = %s ORDER BY name_key",
            (tenant_id,),
        )
        return [_to_vocabulary(row) for row in await cursor.fetchall()]

    async def find(self, tenant_id: UUID, id_or_name: str) -> Vocabulary | None:
        """Return the tenant's vocabulary with this id or, if there is none, this name."""
        cursor = await self._connection.execute(
            f"SELECT {_COLUMNS} FROM vocabularies"
            " WHERE tenant_id = %(tenant)s AND (id = %(id)s OR name_key = %(name)s)"
            " ORDER BY id = %(id)s DESC NULLS LAST LIMIT 1",
            {"tenant": tenant_id, "id": uuid_of(id_or_name), "name": name_key(clean(id_or_name))},
        )
        row = await cursor.fetchone()
        return None if row is None else _to_vocabulary(row)

    async def terms(self, vocabulary_id: UUID) -> Sequence[Term]:
        """Return all terms, in their order."""
        cursor = await self._connection.execute(
            "SELECT term FROM vocabulary_terms WHERE vocabulary_id = %s ORDER BY position",
            (vocabulary_id,),
        )
        return [from_json(row["term"]) for row in await cursor.fetchall()]

    async def page(self, vocabulary_id: UUID, page: PageRequest) -> Sequence[tuple[int, Term]]:
        """Return terms with their positions, one more than the page has."""
        after = page.after[0] if page.after else -1
        cursor = await self._connection.execute(
            "SELECT position, term FROM vocabulary_terms WHERE vocabulary_id = %s"
            " AND position > %s ORDER BY position LIMIT %s",
            (vocabulary_id, after, page.look_ahead),
        )
        return [(row["position"], from_json(row["term"])) for row in await cursor.fetchall()]

    async def delete(self, vocabulary_id: UUID) -> None:
        """Delete one with all of its terms."""
        await self._connection.execute("DELETE FROM vocabularies WHERE id = %s", (vocabulary_id,))

    async def default(self, tenant_id: UUID) -> TagVocabulary | None:
        """Return what a tenant's requests use that name none."""
        cursor = await self._connection.execute(
            "SELECT t.vocabulary_mode, v.id AS vocabulary_id, v.name AS vocabulary_name,"
            " v.digest AS vocabulary_digest FROM tenants t"
            " LEFT JOIN vocabularies v ON v.id = t.vocabulary_id WHERE t.id = %s",
            (tenant_id,),
        )
        row = await cursor.fetchone()
        return to_default_vocabulary(row) if row else None

    async def set_default(self, tenant_id: UUID, asked: TagVocabulary | None) -> None:
        """Let a tenant's requests use this one that name none; None: nothing."""
        await self._connection.execute(
            "UPDATE tenants SET vocabulary_id = (SELECT id FROM vocabularies"
            " WHERE id = %s AND tenant_id = tenants.id), vocabulary_mode = %s WHERE id = %s",
            (asked and asked.id, asked and asked.mode, tenant_id),
        )

    async def vectors(self, vocabulary_id: UUID, model_version: str) -> Mapping[str, bytes]:
        """Return the vectors of names that are known."""
        cursor = await self._connection.execute(
            "SELECT name, vector FROM vocabulary_vectors"
            " WHERE vocabulary_id = %s AND model_version = %s",
            (vocabulary_id, model_version),
        )
        return {row["name"]: row["vector"] for row in await cursor.fetchall()}

    async def add_vectors(
        self, vocabulary_id: UUID, model_version: str, vectors: Mapping[str, bytes]
    ) -> None:
        """Keep vectors of names, as long as there is the vocabulary."""
        await self._connection.execute(
            "INSERT INTO vocabulary_vectors (vocabulary_id, model_version, name, vector)"
            " SELECT v.id, %s, t.name, t.vector FROM vocabularies v,"
            " unnest(%s::text[], %s::bytea[]) AS t (name, vector) WHERE v.id = %s"
            " ON CONFLICT DO NOTHING",
            (model_version, list(vectors), list(vectors.values()), vocabulary_id),
        )


def _to_vocabulary(row: Row) -> Vocabulary:
    return Vocabulary(
        row["id"],
        row["name"],
        row["term_count"],
        row["digest"],
        row["created_at"],
        row["updated_at"],
    )
