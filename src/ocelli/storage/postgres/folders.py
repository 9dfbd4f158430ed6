"""The table ``folders``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg.errors import UniqueViolation

from ocelli.domain.errors import Conflict
from ocelli.domain.folders import Folder
from ocelli.domain.organizing import Move

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.storage.postgres.rows import Connection, Row

# Each folder of a tenant with its depth, in the order of the tree.
_TREE = """
WITH RECURSIVE tree AS (
    SELECT f.*, 0 AS depth, ARRAY[f.name] AS path FROM folders f
    WHERE tenant_id = %(tenant)s AND parent_id IS NULL
    UNION ALL
    SELECT f.*, tree.depth + 1, tree.path || f.name FROM folders f
    JOIN tree ON f.parent_id = tree.id
)
SELECT id, name, parent_id, depth, created_at, updated_at,
    (SELECT count(*) FROM images i WHERE i.folder_id = tree.id AND i.deleted_at IS NULL) AS files,
    (SELECT count(*) FROM folders s WHERE s.parent_id = tree.id) AS subfolders
FROM tree
"""
_BELOW = """
WITH RECURSIVE below AS (
    SELECT id, 0 AS level FROM folders WHERE id = %(id)s
    UNION ALL
    SELECT f.id, level + 1 FROM folders f JOIN below ON f.parent_id = below.id
)
"""


class PostgresFolders:
    """The folders of tenants."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def lock(self, tenant_id: UUID) -> int:
        """Let others wait who would change the tree; return how many folders there are.

        No lock on the tenant's row: who deletes pictures locks that after the pictures.
        """
        await self._connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"folders:{tenant_id}",)
        )
        (row,) = await self._rows(
            "SELECT count(*) AS count FROM folders WHERE tenant_id = %s", (tenant_id,)
        )
        return int(row["count"])

    async def all(self, tenant_id: UUID) -> Sequence[Folder]:
        """Return the folders of a tenant, each behind the one that it is in, by name."""
        rows = await self._rows(f"{_TREE} ORDER BY path", {"tenant": tenant_id})
        return [_folder(row) for row in rows]

    async def get(self, tenant_id: UUID, id: UUID) -> Folder | None:
        """Return a folder, or None."""
        rows = await self._rows(f"{_TREE} WHERE id = %(id)s", {"tenant": tenant_id, "id": id})
        return _folder(rows[0]) if rows else None

    async def below(self, id: UUID) -> tuple[Sequence[UUID], int]:
        """Return the ids of a folder and of all in it, and how many levels these have."""
        rows = await self._rows(f"{_BELOW} SELECT id, level FROM below", {"id": id})
        return [row["id"] for row in rows], max((row["level"] for row in rows), default=-1) + 1

    async def add(self, tenant_id: UUID, name: str, parent_id: UUID | None) -> UUID:
        """Store a folder; return its id. Raises Conflict if the name is taken there."""
        rows = await self._changed(
            "INSERT INTO folders (tenant_id, name, parent_id) VALUES (%s, %s, %s) RETURNING id",
            (tenant_id, name, parent_id),
        )
        id: UUID = rows[0]["id"]
        return id

    async def rename(self, id: UUID, name: str) -> None:
        """Set the name. Raises Conflict if it is taken there."""
        await self._changed(
            "UPDATE folders SET name = %s, updated_at = now() WHERE id = %s RETURNING id",
            (name, id),
        )

    async def move(self, ids: Sequence[UUID], parent_id: UUID | None) -> None:
        """Put folders into another one. Raises Conflict if a name is taken there."""
        await self._changed(
            "UPDATE folders SET parent_id = %s, updated_at = now() WHERE id = ANY(%s) RETURNING id",
            (parent_id, list(ids)),
        )

    async def delete(self, id: UUID) -> None:
        """Delete a folder and the folders in it; pictures in them are at the root then."""
        await self._connection.execute("DELETE FROM folders WHERE id = %s", (id,))

    async def subfolders(self, id: UUID) -> Sequence[UUID]:
        """Return the ids of the folders directly in one."""
        rows = await self._rows("SELECT id FROM folders WHERE parent_id = %s", (id,))
        return [row["id"] for row in rows]

    async def put_files(self, tenant_id: UUID, ids: Sequence[UUID], folder_id: UUID | None) -> int:
        """Put pictures of a tenant into a folder, None: the root; return how many there are."""
        cursor = await self._connection.execute(
            "WITH moving AS (SELECT id FROM images WHERE tenant_id = %s AND id = ANY(%s)"
            " AND deleted_at IS NULL ORDER BY id FOR NO KEY UPDATE)"
            " UPDATE images SET folder_id = %s, updated_at = now() FROM moving"
            " WHERE images.id = moving.id",
            (tenant_id, list(ids), folder_id),
        )
        return cursor.rowcount

    async def relocate(self, tenant_id: UUID, ids: Sequence[UUID], folder_id: UUID) -> list[Move]:
        """Put those pictures into a folder that are not in it; return them with where they were."""
        rows = await self._rows(
            "WITH moving AS (SELECT id, folder_id AS before FROM images"
            " WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s) AND deleted_at IS NULL"
            " AND folder_id IS DISTINCT FROM %(folder)s ORDER BY id FOR NO KEY UPDATE)"
            " UPDATE images SET folder_id = %(folder)s, updated_at = now() FROM moving"
            " WHERE images.id = moving.id RETURNING images.id, moving.before",
            {"tenant": tenant_id, "ids": list(ids), "folder": folder_id},
        )
        return [Move(row["id"], row["before"], folder_id) for row in rows]

    async def take_back(self, tenant_id: UUID, moves: Sequence[Move]) -> int:
        """Put pictures back to where they were, unless they were moved again; return how many.

        Those whose former folder is gone go to the root.
        """
        cursor = await self._connection.execute(
            "WITH moving AS (SELECT id FROM images WHERE tenant_id = %(tenant)s"
            " AND id = ANY(%(ids)s) AND deleted_at IS NULL ORDER BY id FOR NO KEY UPDATE)"
            " UPDATE images SET folder_id = f.id, updated_at = now()"
            " FROM moving JOIN unnest(%(ids)s::uuid[], %(before)s::uuid[], %(after)s::uuid[])"
            " AS m (id, before, after) ON m.id = moving.id"
            " LEFT JOIN folders f ON f.id = m.before AND f.tenant_id = %(tenant)s"
            " WHERE images.id = m.id AND images.folder_id = m.after"
            " AND images.tenant_id = %(tenant)s AND images.deleted_at IS NULL",
            {
                "tenant": tenant_id,
                "ids": [each.image_id for each in moves],
                "before": [each.before for each in moves],
                "after": [each.after for each in moves],
            },
        )
        return cursor.rowcount

    async def delete_empty(self, tenant_id: UUID, ids: Sequence[UUID]) -> int:
        """Delete those folders that have neither pictures nor folders in them; return how many."""
        cursor = await self._connection.execute(
            "DELETE FROM folders f WHERE tenant_id = %s AND id = ANY(%s)"
            " AND NOT EXISTS (SELECT FROM folders s WHERE s.parent_id = f.id)"
            " AND NOT EXISTS (SELECT FROM images i WHERE i.folder_id = f.id"
            " AND i.deleted_at IS NULL)",
            (tenant_id, list(ids)),
        )
        return cursor.rowcount

    async def empty_into(self, folder_id: UUID, parent_id: UUID | None) -> int:
        """Put the pictures that are directly in a folder into another one; return how many."""
        cursor = await self._connection.execute(
            "WITH moving AS (SELECT id FROM images WHERE folder_id = %s AND deleted_at IS NULL"
            " ORDER BY id FOR NO KEY UPDATE)"
            " UPDATE images SET folder_id = %s, updated_at = now() FROM moving"
            " WHERE images.id = moving.id",
            (folder_id, parent_id),
        )
        return cursor.rowcount

    async def files(self, folder_ids: Sequence[UUID], limit: int) -> Sequence[UUID]:
        """Return the ids of some pictures that are in these folders."""
        rows = await self._rows(
            "SELECT id FROM images WHERE folder_id = ANY(%s) AND deleted_at IS NULL LIMIT %s",
            (list(folder_ids), limit),
        )
        return [row["id"] for row in rows]

    async def _changed(self, sql: str, values: Any) -> list[Row]:
        try:
            return await self._rows(sql, values)
        except UniqueViolation as error:
            raise Conflict("There is a folder of this name already. Choose another.") from error

    async def _rows(self, sql: str, values: Any) -> list[Row]:
        cursor = await self._connection.execute(sql.encode(), values)
        return await cursor.fetchall()


def _folder(row: Row) -> Folder:
    return Folder(
        row["id"],
        row["name"],
        row["parent_id"],
        row["depth"],
        row["files"],
        row["subfolders"],
        row["created_at"],
        row["updated_at"],
    )
