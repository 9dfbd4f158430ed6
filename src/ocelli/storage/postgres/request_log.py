"""The table ``request_log``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ocelli.domain.request_log import LoggedRequest, RouteUse, StoredRequest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.domain.request_log import RequestQuery
    from ocelli.storage.postgres.rows import Connection, Row

_FILTERS = {
    "since": "at >= %(since)s",
    "before": "at < %(before)s",
    "key_id": "key_id = %(key_id)s",
    "operation": "operation = %(operation)s",
}
_COLUMNS = (  # and fields of LoggedRequest
    "tenant_id",
    "key_id",
    "at",
    "method",
    "route",
    "operation",
    "status",
    "milliseconds",
    "code",
)


class PostgresRequestLog:
    """Adds requests, reads and counts them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, requests: Sequence[LoggedRequest]) -> None:
        """Store requests, but for those of a tenant that has been removed since."""
        names = ", ".join(_COLUMNS)
        columns = [[getattr(request, name) for request in requests] for name in _COLUMNS]
        await self._connection.execute(
            f"INSERT INTO request_log ({names}) SELECT r.* FROM unnest(%s::uuid[], %s::uuid[],"
            " %s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::int[], %s::int[],"
            f" %s::text[]) AS r ({names}) JOIN tenants ON tenants.id = r.tenant_id",
            columns,
        )

    async def page(
        self, tenant_id: UUID, query: RequestQuery, *, limit: int, offset: int
    ) -> tuple[Sequence[StoredRequest], int]:
        """Return a page, the newest first, and the total number."""
        where, values = _conditions(tenant_id, query)
        rows = await self._rows(
            f"SELECT * FROM request_log WHERE {where} ORDER BY at DESC, id DESC"
            " LIMIT %(limit)s OFFSET %(offset)s",
            values | {"limit": limit, "offset": offset},
        )
        (total,) = await self._rows(
            f"SELECT count(*) AS total FROM request_log WHERE {where}", values
        )
        return [_stored(row) for row in rows], int(total["total"])

    async def routes(
        self, tenant_id: UUID, query: RequestQuery, *, limit: int
    ) -> Sequence[RouteUse]:
        """Return the routes that were asked most often."""
        where, values = _conditions(tenant_id, query)
        rows = await self._rows(
            "SELECT method, route, count(*) AS requests,"
            " count(*) FILTER (WHERE status >= 400) AS errors, avg(milliseconds) AS milliseconds"
            f" FROM request_log WHERE {where} GROUP BY method, route"
            " ORDER BY requests DESC, route, method LIMIT %(limit)s",
            values | {"limit": limit},
        )
        return [
            RouteUse(
                row["method"],
                row["route"],
                row["requests"],
                row["errors"],
                float(row["milliseconds"]),
            )
            for row in rows
        ]

    async def purge(self, *, older_than: float, most: int) -> None:
        """Remove requests of more than so many seconds ago, and of each tenant all but the newest.

        ``most`` are kept.
        """
        await self._connection.execute(
            "DELETE FROM request_log WHERE at < now() - make_interval(secs => %s)", (older_than,)
        )
        await self._connection.execute(
            "DELETE FROM request_log r USING tenants t, LATERAL (SELECT at FROM request_log"
            " WHERE tenant_id = t.id ORDER BY at DESC OFFSET %s LIMIT 1) AS oldest"
            " WHERE r.tenant_id = t.id AND r.at <= oldest.at",
            (most,),
        )

    async def _rows(self, sql: str, values: Any) -> list[Row]:
        cursor = await self._connection.execute(sql.encode(), values)
        return await cursor.fetchall()


def _conditions(tenant_id: UUID, query: RequestQuery) -> tuple[str, dict[str, Any]]:
    values = {name: getattr(query, name) for name in _FILTERS}
    where = [sql for name, sql in _FILTERS.items() if values[name] is not None]
    return " AND ".join(["tenant_id = %(tenant)s", *where]), values | {"tenant": tenant_id}


def _stored(row: Row) -> StoredRequest:
    return StoredRequest(
        row["id"],
        LoggedRequest(
            tenant_id=row["tenant_id"],
            key_id=row["key_id"],
            at=row["at"],
            method=row["method"],
            route=row["route"],
            status=row["status"],
            milliseconds=row["milliseconds"],
            code=row["code"],
        ),
    )
