"""The table ``organize_plans``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from psycopg.types.json import Jsonb

from ocelli.domain.organizing import Group, Move, OrganizePlan, PlanState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.storage.postgres.rows import Connection, Row


class PostgresOrganizePlans:
    """The plans of tenants."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(
        self,
        tenant_id: UUID,
        intent: str,
        parent_id: UUID | None,
        summary: str,
        groups: Sequence[Group],
    ) -> OrganizePlan:
        """Store a plan."""
        (row,) = await self._rows(
            "INSERT INTO organize_plans (tenant_id, intent, parent_id, summary, groups)"
            " VALUES (%s, %s, %s, %s, %s) RETURNING *",
            (
                tenant_id,
                intent,
                parent_id,
                summary,
                Jsonb([{"name": e.name, "image_ids": [*map(str, e.image_ids)]} for e in groups]),
            ),
        )
        return _plan(row)

    async def lock(self, tenant_id: UUID, id: UUID) -> OrganizePlan | None:
        """Return a plan, and keep others from changing it; None if there is none."""
        rows = await self._rows(
            "SELECT * FROM organize_plans WHERE tenant_id = %s AND id = %s FOR UPDATE",
            (tenant_id, id),
        )
        return _plan(rows[0]) if rows else None

    async def get(self, tenant_id: UUID, id: UUID) -> OrganizePlan | None:
        """Return a plan; None if there is none."""
        rows = await self._rows(
            "SELECT * FROM organize_plans WHERE tenant_id = %s AND id = %s", (tenant_id, id)
        )
        return _plan(rows[0]) if rows else None

    async def set_state(self, id: UUID, state: PlanState) -> None:
        """Set how far a plan is."""
        await self._connection.execute(
            "UPDATE organize_plans SET state = %s WHERE id = %s", (state, id)
        )

    async def carried_out(self, id: UUID, created: Sequence[UUID], moves: Sequence[Move]) -> None:
        """Store what a plan did."""
        await self._connection.execute(
            "UPDATE organize_plans SET state = %s, created_folders = %s, moves = %s WHERE id = %s",
            (
                PlanState.CARRIED_OUT,
                list(created),
                Jsonb([_json(each) for each in moves]),
                id,
            ),
        )

    async def purge(self, *, older_than: float) -> None:
        """Remove plans of more than so many seconds ago."""
        await self._connection.execute(
            "DELETE FROM organize_plans WHERE created_at < now() - make_interval(secs => %s)",
            (older_than,),
        )

    async def _rows(self, sql: str, values: Any) -> list[Row]:
        cursor = await self._connection.execute(sql.encode(), values)
        return await cursor.fetchall()


def _plan(row: Row) -> OrganizePlan:
    return OrganizePlan(
        id=row["id"],
        tenant_id=row["tenant_id"],
        intent=row["intent"],
        parent_id=row["parent_id"],
        summary=row["summary"],
        groups=tuple(
            Group(each["name"], tuple(map(UUID, each["image_ids"]))) for each in row["groups"]
        ),
        state=PlanState(row["state"]),
        created_at=row["created_at"],
        created_folders=tuple(row["created_folders"]),
        moves=tuple(
            Move(UUID(each["image_id"]), _id(each["before"]), _id(each["after"]))
            for each in row["moves"]
        ),
    )


def _json(move: Move) -> dict[str, str | None]:
    return {
        "image_id": str(move.image_id),
        "before": None if move.before is None else str(move.before),
        "after": None if move.after is None else str(move.after),
    }


def _id(text: str | None) -> UUID | None:
    return None if text is None else UUID(text)
