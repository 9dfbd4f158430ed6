"""The tables ``chat_sessions`` and ``chat_messages``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from ocelli.domain.library_chat import (
    NEW_TITLE,
    ChatRole,
    ChatSession,
    ResultRef,
    SessionMessage,
)
from ocelli.storage.postgres.rows import storable_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.domain.paging import PageRequest
    from ocelli.storage.postgres.rows import Connection, Row

_refs = TypeAdapter(dict[str, ResultRef])
_notes = TypeAdapter(dict[str, Any])

_LAST = (
    "(SELECT left(content, 400) FROM chat_messages m WHERE m.session_id = s.id"
    " AND role = ANY('{ROLES}') ORDER BY place DESC LIMIT 1)"
)
_SELECT = (
    "SELECT s.*, (SELECT count(*) FROM chat_messages m WHERE m.session_id = s.id) AS messages,"
    f" {_LAST.replace('ROLES', ','.join(ChatRole))} AS last_message,"
    f" {_LAST.replace('ROLES', ChatRole.USER)} AS last_user_message FROM chat_sessions s WHERE "
)
_BY_ACTIVITY = " ORDER BY coalesce(last_message_at, created_at) DESC, id LIMIT %s OFFSET %s"


class PostgresChatSessions:
    """Conversations about libraries, by tenant."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(
        self,
        tenant_id: UUID,
        title: str,
        *,
        is_named: bool,
        image_ids: Sequence[UUID],
        use_all_images: bool,
    ) -> UUID:
        """Store a new session; return its id."""
        (row,) = await self._rows(
            "INSERT INTO chat_sessions (tenant_id, title, is_named, image_ids, use_all_images)"
            " VALUES (%s, %s, %s, %s, %s) RETURNING id",
            (tenant_id, _storable(title), is_named, list(image_ids), use_all_images),
        )
        id: UUID = row["id"]
        return id

    async def get(self, tenant_id: UUID, id: UUID) -> ChatSession | None:
        """Return a session, or None."""
        rows = await self._rows(f"{_SELECT} tenant_id = %s AND id = %s", (tenant_id, id))
        return _session(rows[0]) if rows else None

    async def lock(self, tenant_id: UUID, id: UUID) -> ChatSession | None:
        """Return a session, which no other transaction changes until this one ends; else None."""
        await self._rows(
            "SELECT 1 FROM chat_sessions WHERE tenant_id = %s AND id = %s FOR UPDATE",
            (tenant_id, id),
        )
        return await self.get(tenant_id, id)

    async def page(
        self,
        tenant_id: UUID,
        page: PageRequest,
        *,
        is_active: bool | None,
        search: str | None,
        min_messages: int | None,
    ) -> tuple[Sequence[ChatSession], int]:
        """Return a page, the last active first, and the number of all that match.

        ``search`` is looked for in titles and messages, as it is written but for its case.
        """
        where, values = ["tenant_id = %s"], [tenant_id]  # type: list[str], list[Any]
        if is_active is not None:
            where.append(f"closed_at IS {'' if is_active else 'NOT '}NULL")
        if search:
            where.append(
                "(title ILIKE %s OR EXISTS (SELECT 1 FROM chat_messages m"
                " WHERE m.session_id = s.id AND content ILIKE %s))"
            )
            values += [_pattern(search)] * 2
        if min_messages:
            where.append("(SELECT count(*) FROM chat_messages m WHERE m.session_id = s.id) >= %s")
            values.append(min_messages)
        found = " AND ".join(where)
        (counted,) = await self._rows(
            f"SELECT count(*) AS total FROM chat_sessions s WHERE {found}", values
        )
        rows = await self._rows(
            f"{_SELECT} {found} {_BY_ACTIVITY}", [*values, page.limit, page.offset]
        )
        return [_session(row) for row in rows], counted["total"]

    async def rename(self, id: UUID, title: str, *, is_named: bool = True) -> None:
        """Set the title."""
        await self._rows(
            "UPDATE chat_sessions SET title = %s, is_named = %s, updated_at = now()"
            " WHERE id = %s RETURNING id",
            (_storable(title), is_named, id),
        )

    async def select(
        self, id: UUID, image_ids: Sequence[UUID] | None, *, use_all_images: bool
    ) -> None:
        """Set what the session is about; without ``image_ids`` the selection stays."""
        await self._rows(
            "UPDATE chat_sessions SET image_ids = coalesce(%s, image_ids), use_all_images = %s,"
            " updated_at = now() WHERE id = %s RETURNING id",
            (None if image_ids is None else list(image_ids), use_all_images, id),
        )

    async def close(self, id: UUID) -> None:
        """Close it; a closed one stays as it is."""
        await self._rows(
            "UPDATE chat_sessions SET closed_at = now(), updated_at = now()"
            " WHERE id = %s AND closed_at IS NULL RETURNING id",
            (id,),
        )

    async def accept(self, id: UUID, message: SessionMessage) -> int:
        """Store a person's message, and reserve the place of its answer; return that place."""
        (row,) = await self._rows(
            "UPDATE chat_sessions SET places = places + 2, last_message_at = now(),"
            " updated_at = now() WHERE id = %s RETURNING places",
            (id,),
        )
        place: int = row["places"] - 1
        await self._add(id, message, place - 1)
        return place

    async def answer(
        self,
        id: UUID,
        message: SessionMessage,
        place: int,
        *,
        input_tokens: int,
        output_tokens: int,
    ) -> bool:
        """Store an answer, and count its tokens; False if the message is not there any more."""
        rows = await self._rows(
            "UPDATE chat_sessions SET input_tokens = input_tokens + %s,"
            " output_tokens = output_tokens + %s, last_message_at = now(), updated_at = now()"
            " WHERE id = %s RETURNING id",
            (input_tokens, output_tokens, id),
        )
        if rows:
            await self._add(id, message, place)
        return bool(rows)

    async def sent(self, id: UUID, message_id: UUID) -> tuple[int, SessionMessage | None] | None:
        """Return the place of the answer of a message, and the answer; None: it is not stored."""
        rows = await self._rows(
            "SELECT m.place + 1 AS answer_place, a.* FROM chat_messages m"
            " LEFT JOIN chat_messages a ON a.session_id = m.session_id AND a.place = m.place + 1"
            " WHERE m.session_id = %s AND m.id = %s",
            (id, message_id),
        )
        if not rows:
            return None
        return rows[0]["answer_place"], _message(rows[0]) if rows[0]["id"] else None

    async def withdraw(self, id: UUID, message_id: UUID) -> None:
        """Remove a message that got no answer, and the title that was made of it.

        Its places are free again if they are the last.
        """
        await self._rows(
            "WITH gone AS (DELETE FROM chat_messages m WHERE id = %s AND NOT EXISTS (SELECT"
            " FROM chat_messages a WHERE a.session_id = m.session_id AND a.place = m.place + 1)"
            " RETURNING place) UPDATE chat_sessions SET"
            " places = CASE WHEN places = gone.place + 2 THEN gone.place ELSE places END,"
            " title = CASE WHEN gone.place = 0 AND NOT is_named THEN %s ELSE title END"
            " FROM gone WHERE id = %s RETURNING id",
            (message_id, NEW_TITLE, id),
        )

    async def summarise(self, id: UUID, summary: str | None, summarised: int) -> None:
        """Set the summary of the first messages."""
        await self._rows(
            "UPDATE chat_sessions SET summary = %s, summarised = %s"
            " WHERE id = %s AND summarised < %s RETURNING id",
            (summary, summarised, id, summarised),
        )

    async def messages(self, id: UUID, limit: int | None = None) -> Sequence[SessionMessage]:
        """Return the messages, the oldest first; with a limit the last ones."""
        rows = await self._rows(
            "SELECT * FROM (SELECT * FROM chat_messages WHERE session_id = %s"
            " ORDER BY place DESC LIMIT %s) AS last ORDER BY place",
            (id, limit),
        )
        return [_message(row) for row in rows]

    async def add_plan(self, id: UUID, plan_id: UUID) -> None:
        """Store that a plan was proposed in a session."""
        await self._rows(
            "INSERT INTO chat_plans (plan_id, session_id) VALUES (%s, %s) RETURNING plan_id",
            (plan_id, id),
        )

    async def has_plan(self, id: UUID, plan_id: UUID) -> bool:
        """Return whether a plan was proposed in a session."""
        return bool(
            await self._rows(
                "SELECT 1 FROM chat_plans WHERE session_id = %s AND plan_id = %s", (id, plan_id)
            )
        )

    async def _add(self, id: UUID, message: SessionMessage, place: int) -> None:
        await self._rows(
            "INSERT INTO chat_messages (id, session_id, place, role, content, token_count,"
            " processing_ms, image_ids, refs, notes, created_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
            (
                message.id,
                id,
                place,
                message.role,
                _storable(message.content),
                message.token_count,
                message.processing_ms,
                list(message.image_ids),
                storable_json(_refs.dump_json(dict(message.refs))),
                storable_json(_notes.dump_json(dict(message.notes))),
                message.created_at,
            ),
        )

    async def _rows(self, sql: str, values: Any) -> list[Row]:
        cursor = await self._connection.execute(sql.encode(), values)
        return await cursor.fetchall()


def _storable(text: str) -> str:
    """Return the text without NUL and half characters, which Postgres cannot store."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _pattern(search: str) -> str:
    escaped = _storable(search)
    for sign in "\\%_":
        escaped = escaped.replace(sign, f"\\{sign}")
    return f"%{escaped}%"


def _session(row: Row) -> ChatSession:
    return ChatSession(
        id=row["id"],
        tenant_id=row["tenant_id"],
        title=row["title"],
        is_named=row["is_named"],
        use_all_images=row["use_all_images"],
        image_ids=tuple(row["image_ids"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        last_message_at=row["last_message_at"],
        closed_at=row["closed_at"],
        messages=row["messages"],
        places=row["places"],
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        summary=row["summary"],
        summarised=row["summarised"],
        last_message=row["last_message"],
        last_user_message=row["last_user_message"],
    )


def _message(row: Row) -> SessionMessage:
    return SessionMessage(
        id=row["id"],
        role=ChatRole(row["role"]),
        content=row["content"],
        created_at=row["created_at"],
        token_count=row["token_count"],
        processing_ms=row["processing_ms"],
        image_ids=tuple(row["image_ids"]),
        refs=_refs.validate_python(row["refs"]),
        notes=row["notes"],
    )
