"""The table ``members``, and their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ocelli.domain.members import Member, MemberRole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.storage.postgres.rows import Connection, Row

_MEMBERS = (
    "SELECT m.*, (SELECT max(last_used_at) FROM api_keys k WHERE k.member_id = m.id)"
    " AS last_active_at FROM members m WHERE m.tenant_id = %(tenant)s"
)
NO_ADDRESS = "owner@{id}.invalid"  # a domain that cannot exist (RFC 2606)


class PostgresMembers:
    """The people of tenants."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def lock(self, tenant_id: UUID) -> int:
        """Let others wait who would change the members; return how many there are."""
        await self._rows("SELECT 1 FROM tenants WHERE id = %s FOR NO KEY UPDATE", (tenant_id,))
        (row,) = await self._rows(
            "SELECT count(*) AS count FROM members WHERE tenant_id = %s", (tenant_id,)
        )
        return int(row["count"])

    async def all(self, tenant_id: UUID) -> Sequence[Member]:
        """Return the owner, then the members in the order in which they joined."""
        owner = await self._rows(
            "SELECT id, coalesce(display_name, name) AS name, created_at,"
            " (SELECT max(last_used_at) FROM api_keys k WHERE k.tenant_id = t.id"
            " AND k.member_id IS NULL) AS last_active_at FROM tenants t WHERE id = %s",
            (tenant_id,),
        )
        rows = await self._rows(f"{_MEMBERS} ORDER BY joined_at, id", {"tenant": tenant_id})
        return [*map(_owner, owner), *map(_member, rows)]

    async def get(self, tenant_id: UUID, id: UUID) -> Member | None:
        """Return a member who is not the owner, or None."""
        rows = await self._rows(f"{_MEMBERS} AND m.id = %(id)s", {"tenant": tenant_id, "id": id})
        return _member(rows[0]) if rows else None

    async def add(self, tenant_id: UUID, email: str, role: MemberRole) -> Member | None:
        """Store a member; None if there is one of this address."""
        rows = await self._rows(
            "INSERT INTO members (tenant_id, email, name, role) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (tenant_id, lower(email)) DO NOTHING"
            " RETURNING *, NULL::timestamptz AS last_active_at",
            (tenant_id, email, email, role),
        )
        return _member(rows[0]) if rows else None

    async def set_role(self, id: UUID, role: MemberRole) -> None:
        """Set a role."""
        await self._connection.execute("UPDATE members SET role = %s WHERE id = %s", (role, id))

    async def remove(self, id: UUID) -> None:
        """Remove a member, and revoke their keys."""
        await self._connection.execute(
            "UPDATE api_keys SET revoked_at = now() WHERE member_id = %s AND revoked_at IS NULL",
            (id,),
        )
        await self._connection.execute("DELETE FROM members WHERE id = %s", (id,))

    async def keys(self, id: UUID) -> Sequence[tuple[UUID, tuple[str, ...]]]:
        """Return the ids and scopes of the keys of a member that are not revoked, oldest first."""
        rows = await self._rows(
            "SELECT id, scopes FROM api_keys WHERE member_id = %s AND revoked_at IS NULL"
            " ORDER BY created_at, id FOR UPDATE",
            (id,),
        )
        return [(row["id"], tuple(row["scopes"])) for row in rows]

    async def set_scopes(self, key_id: UUID, scopes: Sequence[str]) -> None:
        """Set what a key may do."""
        await self._connection.execute(
            "UPDATE api_keys SET scopes = %s WHERE id = %s", (list(scopes), key_id)
        )

    async def _rows(self, sql: str, values: Any) -> list[Row]:
        cursor = await self._connection.execute(sql.encode(), values)
        return await cursor.fetchall()


def _member(row: Row) -> Member:
    return Member(
        row["id"],
        row["email"],
        row["name"],
        MemberRole(row["role"]),
        row["joined_at"],
        row["last_active_at"],
    )


def _owner(row: Row) -> Member:
    email = NO_ADDRESS.format(id=row["id"])
    return Member(
        row["id"], email, row["name"], MemberRole.OWNER, row["created_at"], row["last_active_at"]
    )
