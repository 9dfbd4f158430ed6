"""Reading, cancelling and expiring upload sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocelli.domain.errors import NotCancellable
from ocelli.usecases.lookup import existing, parse_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.domain.paging import PageRequest
    from ocelli.domain.upload_sessions import (
        Ended,
        Item,
        ItemCounts,
        Session,
        SessionStatus,
        UploadMethod,
    )
    from ocelli.storage.postgres.database import PostgresDatabase, PostgresTransaction

SESSION = "Session"
RECENT = 5
EXCERPT = 100  # characters of a description
EXPIRED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class SessionOverview:
    """A session with its latest completions and errors."""

    session: Session
    completions: Sequence[Ended]
    errors: Sequence[Ended]


@dataclass(frozen=True, slots=True)
class SessionPage:
    """One page of sessions."""

    sessions: Sequence[Session]
    total: int
    has_more: bool


@dataclass(frozen=True, slots=True)
class ResultsPage:
    """A session and one page of its finished files."""

    session: Session
    items: Sequence[Item]
    total: int
    has_more: bool


class Sessions:
    """Use cases around one tenant's sessions; each raises NotFound for an unknown id."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def get(self, tenant_id: UUID, id: str) -> Session:
        """Return the session with its counters: one indexed row."""
        async with self._database.autocommit() as tx:
            return await _session(tx, tenant_id, id)

    async def details(self, tenant_id: UUID, id: str) -> SessionOverview:
        """Return the session with its latest completions and errors."""
        async with self._database.autocommit() as tx:
            found = await tx.sessions.overview(
                tenant_id, parse_id(SESSION, id), recent=RECENT, excerpt=EXCERPT
            )
        return SessionOverview(*existing(found, SESSION, id))

    async def page(
        self,
        tenant_id: UUID,
        *,
        status: SessionStatus | None,
        method: UploadMethod | None,
        page: PageRequest,
    ) -> SessionPage:
        """Return a page of sessions, newest first; the key of a session is (created_at, id)."""
        async with self._database.autocommit() as tx:
            found, total = await tx.sessions.page(
                tenant_id, status=status, method=method, page=page
            )
        sessions, more = page.cut(found)
        return SessionPage(sessions, total, more)

    async def results(
        self, tenant_id: UUID, id: str, *, include_failed: bool, page: PageRequest
    ) -> ResultsPage:
        """Return a page of the files in a final state, in order; their key is (position,)."""
        async with self._database.autocommit() as tx:
            session = await _session(tx, tenant_id, id)
            found, total = await tx.sessions.results(
                session.id, include_failed=include_failed, page=page
            )
        items, more = page.cut(found)
        return ResultsPage(session, items, total, more)

    async def counts(self, tenant_id: UUID, id: str) -> tuple[Session, ItemCounts, Sequence[Item]]:
        """Return the session, the numbers of files by state, and the newest errors."""
        async with self._database.autocommit() as tx:
            session = await _session(tx, tenant_id, id)
            return (
                session,
                await tx.sessions.counts(session.id),
                await tx.sessions.recent(session.id, failed=True, limit=RECENT),
            )

    async def snapshot(
        self, tenant_id: UUID, id: str, *, failures: int
    ) -> tuple[Session, str, Sequence[Item]]:
        """Return the session, the state of each file, and the newest failures.

        For the states see ``PostgresSessions.states``: they alone are of one moment.
        """
        async with self._database.autocommit() as tx:
            session = await _session(tx, tenant_id, id)
            return (
                session,
                await tx.sessions.states(session.id),
                await tx.sessions.recent(session.id, failed=True, limit=failures),
            )

    async def cancel(self, tenant_id: UUID, id: str) -> SessionOverview:
        """Cancel the files that have not begun; those being analysed finish.

        Finished files keep their results; what was reserved for the others is given back. Raises
        NotCancellable if the session has ended already.
        """
        async with self._database.transaction() as tx:
            session = await _session(tx, tenant_id, id)
            if session.status.is_final:
                raise NotCancellable(
                    f"The session has ended already ({session.status}).",
                    details={"status": session.status},
                )
            cancelled = await tx.sessions.cancel(session)
            await tx.usage.give_back(
                tenant_id, descriptions=cancelled, credits=cancelled * session.level.looks
            )
            found = await tx.sessions.overview(
                tenant_id, session.id, recent=RECENT, excerpt=EXCERPT
            )
        assert found is not None
        return SessionOverview(*found)

    async def expire(self) -> int:
        """Fail the files of all tenants whose reservation has expired; return how many."""
        async with self._database.transaction() as tx:
            return await tx.sessions.expire(EXPIRED_AT_ONCE)


async def _session(tx: PostgresTransaction, tenant_id: UUID, id: str) -> Session:
    return existing(await tx.sessions.get(tenant_id, parse_id(SESSION, id)), SESSION, id)
