"""The request log of a tenant: noted when answered, stored once a second, kept for a month."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.domain.request_log import LoggedRequest, RequestQuery, RouteUse, StoredRequest
    from ocelli.storage.postgres.database import PostgresDatabase

MOST_WAITING = 10_000  # requests that are not stored yet; more are not recorded


class RequestLog:
    """Notes requests and reads them. A process that is killed loses its last second."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._waiting: list[LoggedRequest] = []

    def note(self, request: LoggedRequest) -> None:
        """Note an answered request."""
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(request)

    async def save(self) -> None:
        """Store what was noted; after an error it is kept for the next call."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        try:
            async with self._database.transaction() as tx:
                await tx.request_log.add(waiting)
        except BaseException:
            self._waiting = [*waiting, *self._waiting][:MOST_WAITING]
            raise

    async def page(
        self, tenant_id: UUID, query: RequestQuery, *, limit: int, offset: int
    ) -> tuple[Sequence[StoredRequest], int]:
        """Return a page of requests, the newest first, and their total number."""
        async with self._database.snapshot() as tx:
            return await tx.request_log.page(tenant_id, query, limit=limit, offset=offset)

    async def routes(
        self, tenant_id: UUID, query: RequestQuery, *, limit: int
    ) -> Sequence[RouteUse]:
        """Return the routes that were asked most often."""
        async with self._database.autocommit() as tx:
            return await tx.request_log.routes(tenant_id, query, limit=limit)
