"""The audit log of a tenant.

What changes the database records its event in the same transaction. What was refused changes
nothing: it is noted here and stored once a second, the same of a key at most once a minute.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ocelli.domain.audit import Actor, AuditEvent, AuditType, Result, Severity
from ocelli.usecases.lookup import existing, parse_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from ocelli.domain.audit import AuditEntry, AuditQuery
    from ocelli.storage.postgres.database import PostgresDatabase

ENTRY = "Audit log entry"
MOST_WAITING = 1_000  # refusals that are not stored yet; more are not recorded
MINUTE = 60.0


class AuditLog:
    """Reads the log, and notes refusals."""

    def __init__(
        self, database: PostgresDatabase, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._clock = clock
        self._waiting: list[AuditEvent] = []
        self._noted: dict[tuple[UUID | None, AuditType], float] = {}

    async def page(
        self, tenant_id: UUID, query: AuditQuery, *, limit: int, offset: int
    ) -> tuple[Sequence[AuditEntry], int]:
        """Return a page of events, the newest first, and their total number."""
        async with self._database.snapshot() as tx:
            return await tx.audit.page(tenant_id, query, limit=limit, offset=offset)

    async def get(self, tenant_id: UUID, id: str) -> AuditEntry:
        """Return an event. Raises NotFound."""
        entry_id = parse_id(ENTRY, id)
        async with self._database.autocommit() as tx:
            return existing(await tx.audit.get(tenant_id, entry_id), ENTRY, id)

    def refused(
        self, actor: Actor, type: AuditType, resource: tuple[str, str], message: str
    ) -> None:
        """Note that a request was refused."""
        now = self._clock()
        self._noted = {key: at for key, at in self._noted.items() if now - at < MINUTE}
        key = (actor.key_id, type)
        if key in self._noted or len(self._waiting) >= MOST_WAITING:
            return
        self._noted[key] = now
        self._waiting.append(
            AuditEvent(
                actor,
                type,
                resource,
                result=Result.DENIED,
                severity=Severity.WARNING,
                error=message,
            )
        )

    async def save(self) -> None:
        """Store what was noted; after an error it is kept for the next call."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        try:
            async with self._database.transaction() as tx:
                for event in waiting:
                    await tx.audit.add(event)
        except BaseException:
            self._waiting = [*waiting, *self._waiting][:MOST_WAITING]
            raise
