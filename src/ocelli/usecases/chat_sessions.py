"""Conversations about a tenant's library: open, list, read, change and close them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocelli.domain.errors import NotFound
from ocelli.domain.library_chat import NEW_TITLE, SESSION
from ocelli.usecases.lookup import existing, parse_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.domain.images import Image
    from ocelli.domain.library_chat import ChatSession, SessionMessage
    from ocelli.domain.paging import PageRequest
    from ocelli.storage.postgres.database import PostgresDatabase, PostgresTransaction


@dataclass(frozen=True, slots=True)
class SessionContent:
    """A session with its messages, and the pictures of them that there still are."""

    session: ChatSession
    messages: Sequence[SessionMessage]
    images: Sequence[Image]


class ChatSessions:
    """Sessions of tenants. Ids of another tenant's are not found, as unknown ones are not."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def create(
        self,
        tenant_id: UUID,
        title: str | None,
        *,
        image_ids: Sequence[UUID] = (),
        use_all_images: bool = True,
    ) -> ChatSession:
        """Open a session. Raises NotFound for a picture that the tenant does not have."""
        async with self._database.transaction() as tx:
            await _check_pictures(tx, tenant_id, image_ids)
            id = await tx.chat_sessions.add(
                tenant_id,
                title or NEW_TITLE,
                is_named=bool(title),
                image_ids=list(dict.fromkeys(image_ids)),
                use_all_images=use_all_images,
            )
            return await get_session(tx, tenant_id, id)

    async def page(
        self,
        tenant_id: UUID,
        page: PageRequest,
        *,
        is_active: bool | None = None,
        search: str | None = None,
        min_messages: int | None = None,
    ) -> tuple[Sequence[ChatSession], int]:
        """Return a page of sessions, the last active first, and the number of all that match."""
        async with self._database.snapshot() as tx:
            return await tx.chat_sessions.page(
                tenant_id, page, is_active=is_active, search=search, min_messages=min_messages
            )

    async def get(self, tenant_id: UUID, id: str) -> ChatSession:
        """Return a session. Raises NotFound."""
        async with self._database.transaction() as tx:
            return await get_session(tx, tenant_id, parse_id(SESSION, id))

    async def content(self, tenant_id: UUID, id: str, limit: int | None = None) -> SessionContent:
        """Return a session with its messages, the oldest first; with a limit the last ones.

        Raises NotFound.
        """
        async with self._database.snapshot() as tx:
            session = await get_session(tx, tenant_id, parse_id(SESSION, id))
            messages = [] if limit == 0 else await tx.chat_sessions.messages(session.id, limit)
            shown = {id for each in messages for id in each.image_ids}
            images = await tx.images.by_ids(list(shown)) if shown else []
        return SessionContent(session, messages, images)

    async def rename(self, tenant_id: UUID, id: str, title: str) -> ChatSession:
        """Set the title. Raises NotFound."""
        async with self._database.transaction() as tx:
            session = await get_session(tx, tenant_id, parse_id(SESSION, id))
            await tx.chat_sessions.rename(session.id, title)
            return await get_session(tx, tenant_id, session.id)

    async def use_all(self, tenant_id: UUID, id: str, use_all_images: bool) -> ChatSession:
        """Set whether it is about all pictures, or about the selected ones. Raises NotFound."""
        async with self._database.transaction() as tx:
            session = await get_session(tx, tenant_id, parse_id(SESSION, id))
            await tx.chat_sessions.select(session.id, None, use_all_images=use_all_images)
            return await get_session(tx, tenant_id, session.id)

    async def select(self, tenant_id: UUID, id: str, image_ids: Sequence[UUID]) -> ChatSession:
        """Replace the selection, which then is what the session is about, unless it is empty.

        Raises NotFound for the session, or for a picture that the tenant does not have.
        """
        async with self._database.transaction() as tx:
            session = await get_session(tx, tenant_id, parse_id(SESSION, id))
            await _check_pictures(tx, tenant_id, image_ids)
            await tx.chat_sessions.select(
                session.id,
                list(dict.fromkeys(image_ids)),
                use_all_images=session.use_all_images and not image_ids,
            )
            return await get_session(tx, tenant_id, session.id)

    async def close(self, tenant_id: UUID, id: str) -> ChatSession:
        """Close a session: it can still be read. Closing it again changes nothing.

        Raises NotFound.
        """
        async with self._database.transaction() as tx:
            session = await get_session(tx, tenant_id, parse_id(SESSION, id))
            await tx.chat_sessions.close(session.id)
            return await get_session(tx, tenant_id, session.id)


async def get_session(tx: PostgresTransaction, tenant_id: UUID, id: UUID) -> ChatSession:
    """Return a session. Raises NotFound."""
    return existing(await tx.chat_sessions.get(tenant_id, id), SESSION, id)


async def _check_pictures(tx: PostgresTransaction, tenant_id: UUID, ids: Sequence[UUID]) -> None:
    if not ids:
        return
    known = set(await tx.images.existing(tenant_id, ids))
    missing = next((id for id in ids if id not in known), None)
    if missing is not None:
        raise NotFound("File", str(missing))
