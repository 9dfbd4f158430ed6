"""The table ``edits``, to which rows are only added, and ``known_tags``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb

from ocelli.domain.edits import Edit, EditField

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from uuid import UUID

    from ocelli.domain.paging import PageRequest
    from ocelli.storage.postgres.rows import Connection, Row


class PostgresEdits:
    """The repository of edits."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, tenant_id: UUID, edits: Iterable[Edit]) -> None:
        """Add edits of one picture, whose lock this transaction must hold."""
        async with self._connection.cursor() as cursor:
            await cursor.executemany(
                "INSERT INTO edits (id, tenant_id, image_id, revision, position, field, claim,"
                " value, previous, author, created_at, undoes)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    (
                        each.id,
                        tenant_id,
                        each.image_id,
                        each.revision,
                        each.position,
                        each.field,
                        each.claim or "",
                        _json(each.value),
                        _json(each.previous),
                        each.author,
                        each.created_at,
                        each.undoes,
                    )
                    for each in edits
                ],
            )

    async def get(self, image_id: UUID, id: UUID) -> Edit | None:
        """Return an edit of a picture, or None."""
        rows = await self._rows(
            "SELECT * FROM edits WHERE image_id = %s AND id = %s", (image_id, id)
        )
        return _to_edit(rows[0]) if rows else None

    async def page(self, image_id: UUID, page: PageRequest) -> Sequence[Edit]:
        """Return a page of a picture's edits, newest first; its key is (revision, position)."""
        after = page.after or (2**31 - 1, 0)
        rows = await self._rows(
            "SELECT * FROM edits WHERE image_id = %s AND (revision, position) < (%s, %s)"
            " ORDER BY revision DESC, position DESC LIMIT %s",
            (image_id, *after, page.look_ahead),
        )
        return [_to_edit(row) for row in rows]

    async def since(self, image_id: UUID, revision: int, *, limit: int) -> Sequence[Edit]:
        """Return the edits of a picture after a revision, oldest first."""
        rows = await self._rows(
            "SELECT * FROM edits WHERE image_id = %s AND revision > %s"
            " ORDER BY revision, position LIMIT %s",
            (image_id, revision, limit),
        )
        return [_to_edit(row) for row in rows]

    async def remember_tags(self, tenant_id: UUID, tags: Iterable[str]) -> None:
        """Remember tags that a person wrote or approved."""
        await self._rows(
            "INSERT INTO known_tags SELECT DISTINCT %s::uuid, lower(tag)"
            " FROM unnest(%s::text[]) AS tag ON CONFLICT DO NOTHING RETURNING 1",
            (tenant_id, list(tags)),
        )

    async def _rows(self, query: str, parameters: tuple[object, ...]) -> list[Row]:
        cursor = await self._connection.execute(query.encode(), parameters)
        return await cursor.fetchall()


def _json(value: Any) -> Jsonb | None:
    return None if value is None else Jsonb(value)


def _to_edit(row: Mapping[str, Any]) -> Edit:
    return Edit(
        id=row["id"],
        image_id=row["image_id"],
        revision=row["revision"],
        position=row["position"],
        field=EditField(row["field"]),
        claim=row["claim"] or None,
        value=row["value"],
        previous=row["previous"],
        author=row["author"],
        created_at=row["created_at"],
        undoes=row["undoes"],
    )
