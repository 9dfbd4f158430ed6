"""Reads ``PictureFacts`` of many pictures in one query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ocelli.domain.effective import effective_claims, effective_words
from ocelli.domain.picture_facts import PictureFacts
from ocelli.storage.postgres.annotations import edits_of, to_annotations
from ocelli.storage.postgres.rows import to_location, to_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.storage.postgres.rows import Connection, Row

# The claims of a description are needed to show it where a person has judged them.
_FACTS = (
    f"SELECT i.*, {edits_of('i')} AS edits, a.id AS ai_id, a.description AS ai_description,"
    " a.visible_text AS ai_visible_text, a.tags AS ai_tags,"
    " CASE WHEN i.revision > 0 OR %(claims)s THEN a.claims END AS ai_claims,"
    " CASE WHEN i.revision > 0 THEN a.tagging END AS ai_tagging,"
    " p.analysis->'colors'->0->>'name' AS color"
    " FROM images i LEFT JOIN LATERAL (SELECT * FROM analyses"
    " WHERE image_id = i.id AND status = 'completed' ORDER BY created_at DESC LIMIT 1) a ON true"
    " LEFT JOIN palettes p ON p.image_id = i.id"
    " WHERE i.tenant_id = %(tenant)s AND i.deleted_at IS NULL"
)
_NEWEST_FIRST = " ORDER BY coalesce(i.content_created_at, i.created_at) DESC, i.id LIMIT %(limit)s"


class PostgresPictureFacts:
    """The facts of a tenant's pictures."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def of(
        self, tenant_id: UUID, ids: Sequence[UUID], *, claims: bool = False
    ) -> Sequence[PictureFacts]:
        """Return those of pictures, in the order of ``ids``; of others nothing."""
        found = await self._rows(
            f"{_FACTS} AND i.id = ANY(%(ids)s)", tenant_id, claims, ids=list(ids)
        )
        by_id = {each.id: each for each in found}
        return [by_id[id] for id in dict.fromkeys(ids) if id in by_id]

    async def outside_of_folders(self, tenant_id: UUID, limit: int) -> Sequence[PictureFacts]:
        """Return those of the newest pictures that are in no folder."""
        where = f"{_FACTS} AND i.folder_id IS NULL{_NEWEST_FIRST}"
        return await self._rows(where, tenant_id, claims=False, limit=limit)

    async def newest(
        self, tenant_id: UUID, limit: int, *, claims: bool = False
    ) -> Sequence[PictureFacts]:
        """Return those of the newest pictures."""
        return await self._rows(f"{_FACTS}{_NEWEST_FIRST}", tenant_id, claims, limit=limit)

    async def _rows(
        self, sql: str, tenant_id: UUID, claims: bool, **values: Any
    ) -> list[PictureFacts]:
        cursor = await self._connection.execute(
            sql.encode(), {"tenant": tenant_id, "claims": claims, **values}
        )
        return [_facts(row, claims=claims) for row in await cursor.fetchall()]


def _facts(row: Row, *, claims: bool) -> PictureFacts:
    words, annotations = to_words(row), to_annotations(row["edits"])
    shown = effective_words(row["title"], tuple(row["tags"]), annotations, words)
    return PictureFacts(
        id=row["id"],
        filename=row["filename"],
        title=shown.title,
        description=shown.description,
        visible_text=shown.visible_text,
        tags=shown.tags,
        folder_id=row["folder_id"],
        format=row["format"],
        width=row["width"],
        height=row["height"],
        taken_at=row["content_created_at"],
        created_at=row["created_at"],
        color=row["color"],
        location=to_location(row),
        claims=tuple(effective_claims(annotations, words)) if claims else (),
    )
