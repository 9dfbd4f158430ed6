"""The tables ``sessions`` and ``items``."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING
from uuid import UUID

from ocelli.domain.analysis import VerificationLevel
from ocelli.domain.effective import effective
from ocelli.domain.images import StorageTarget
from ocelli.domain.upload_sessions import (
    Ended,
    Intent,
    Item,
    ItemCounts,
    ItemState,
    Session,
    SessionStatus,
    UploadMethod,
)
from ocelli.domain.webhooks import session_completed
from ocelli.storage.postgres.images import PostgresImages
from ocelli.storage.postgres.paging import PAGE, further, older, page_values
from ocelli.storage.postgres.rows import recordset, to_vocabulary
from ocelli.storage.postgres.webhooks import PostgresWebhooks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from ocelli.domain.images import Image
    from ocelli.domain.paging import PageRequest
    from ocelli.storage.postgres.rows import Connection, Row

CHANNEL = "ocelli_sessions"

_FINAL = "('completed', 'failed', 'skipped')"
_CONFIRM_TIMEOUT = "2 minutes"

_NEW = (
    "id, tenant_id, session_id, position, filename, content_type, size_bytes, object_key,"
    " storage_target, idempotency_key, title, tags, state, image_id, error, retryable, created_at,"
    " changed_at, expires_at, level, vocabulary"
)
_ADD_ITEMS = (
    f"INSERT INTO items ({_NEW}) SELECT {_NEW} FROM jsonb_populate_recordset(NULL::items, %s)"
)

# One more or one less of each counter, from the states before and after.
_COUNT = """
UPDATE sessions s SET
    uploading = s.uploading - (%(before)s IN ('uploading', 'confirming'))::int
                            + (%(after)s IN ('uploading', 'confirming'))::int,
    completed = s.completed + (%(after)s = 'completed')::int,
    failed = s.failed + (%(after)s = 'failed')::int,
    skipped = s.skipped + (%(after)s = 'skipped')::int,
    started_at = coalesce(s.started_at, clock_timestamp()),
    last_activity_at = clock_timestamp(),
    completed_at = CASE
        WHEN s.completed_at IS NULL AND %(after)s IN ('completed', 'failed', 'skipped')
             AND s.completed + s.failed + s.skipped + 1 >= s.total THEN clock_timestamp()
        ELSE s.completed_at END
WHERE s.id = %(session)s RETURNING *
"""

_ENDED = """
(SELECT coalesce(jsonb_agg(to_jsonb(n) - 'changed_at'
    ORDER BY n.changed_at DESC, n.position DESC), '[]') FROM (
    SELECT i.filename, i.position, i.state, i.error, i.retryable, i.changed_at,
        coalesce(i.image_id, CASE WHEN i.state <> 'failed' THEN p.id END) AS image_id,
        left(a.description, %(excerpt)s) AS description, a.processing_ms,
        coalesce(p.revision, 0) > 0 AS edited
    FROM items i
    LEFT JOIN images p ON p.id = coalesce(i.image_id, i.id) AND p.deleted_at IS NULL
    LEFT JOIN LATERAL (SELECT description, processing_ms FROM analyses
        WHERE image_id = p.id AND status = 'completed' ORDER BY created_at DESC LIMIT 1) a ON true
    WHERE i.session_id = s.id AND {which} ORDER BY i.changed_at DESC, i.position DESC
    LIMIT %(recent)s
) n)
"""
# Two conditions on the state: one is the answer, the other one is the index's.
_OVERVIEW = (
    "SELECT s.*, "
    + _ENDED.format(which=f"i.state IN ('completed', 'skipped') AND i.state IN {_FINAL}")
    + " AS ended, "
    + _ENDED.format(which="i.state = 'failed'")
    + " AS failures FROM sessions s WHERE s.tenant_id = %(tenant)s AND s.id = %(id)s"
)


class PostgresSessions:
    """The repository of sessions and their items; counters change in the items' transaction.

    Locks are always taken in the order analysis, item, session, against deadlocks.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, session: Session, items: Sequence[Item]) -> None:
        """Insert a session with its counters as given, and its items."""
        await self._connection.execute(
            "INSERT INTO sessions (id, tenant_id, upload_method, intent, level, total, uploading,"
            " completed, failed, skipped, created_at, started_at, completed_at, last_activity_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                session.id,
                session.tenant_id,
                session.upload_method,
                session.intent,
                session.level,
                session.total,
                session.uploading,
                session.completed,
                session.failed,
                session.skipped,
                session.created_at,
                session.started_at,
                session.completed_at,
                session.created_at,
            ),
        )
        await self.add_items(*items)
        if session.completed_at is not None:  # there is nothing to be analysed
            await PostgresWebhooks(self._connection).emit(
                session.tenant_id, session_completed(session)
            )

    async def extend(self, session: Session, items: Sequence[Item]) -> bool:
        """Add ``items`` and the counters of ``session`` to the one that has its id.

        False if the tenant has none of that id, or it was cancelled or has expired. The items'
        positions go on from those that are there.
        """
        rows = await self._rows(
            "UPDATE sessions SET total = total + %(total)s, completed = completed + %(completed)s,"
            " failed = failed + %(failed)s, skipped = skipped + %(skipped)s,"
            " completed_at = CASE WHEN completed + failed + skipped + %(done)s"
            " >= total + %(total)s THEN clock_timestamp() END,"
            " last_activity_at = clock_timestamp() WHERE id = %(id)s AND tenant_id = %(tenant)s"
            " AND cancelled_at IS NULL AND expired_at IS NULL RETURNING *",
            {
                "total": session.total,
                "completed": session.completed,
                "failed": session.failed,
                "skipped": session.skipped,
                "done": session.done,
                "id": session.id,
                "tenant": session.tenant_id,
            },
        )
        if not rows:
            return False
        first = rows[0]["total"] - session.total
        await self.add_items(*(replace(item, position=first + item.position) for item in items))
        await self._announce(rows)
        await self._notify(session.id)
        return True

    async def add_items(self, *items: Item) -> None:
        """Insert items; counters are not changed."""
        if items:
            await self._connection.execute(
                _ADD_ITEMS, (recordset(_new_row(each) for each in items),)
            )

    async def get(self, tenant_id: UUID, id: UUID) -> Session | None:
        """Return a session, one indexed row; None if the tenant has none of that id."""
        rows = await self._rows(
            "SELECT * FROM sessions WHERE tenant_id = %s AND id = %s", (tenant_id, id)
        )
        return _to_session(rows[0]) if rows else None

    async def overview(
        self, tenant_id: UUID, id: UUID, *, recent: int, excerpt: int
    ) -> tuple[Session, Sequence[Ended], Sequence[Ended]] | None:
        """Return a session with its newest completed and failed files, ``recent`` of each.

        In one snapshot; descriptions are cut to ``excerpt`` characters. None if unknown.
        """
        rows = await self._rows(
            _OVERVIEW, {"tenant": tenant_id, "id": id, "recent": recent, "excerpt": excerpt}
        )
        if not rows:
            return None
        (row,) = rows
        lists = [row["ended"], row["failures"]]
        edited = [UUID(each["image_id"]) for found in lists for each in found if each["edited"]]
        images = await PostgresImages(self._connection).by_ids(edited) if edited else ()
        texts = {str(each.id): effective(each).description for each in images}
        ended, failures = ([_to_ended(each, texts, excerpt) for each in found] for found in lists)
        return _to_session(row), ended, failures

    async def page(
        self,
        tenant_id: UUID,
        *,
        status: SessionStatus | None,
        method: UploadMethod | None,
        page: PageRequest,
    ) -> tuple[Sequence[Session], int]:
        """Return a page of sessions, newest first, and the total number."""
        where = (
            "FROM sessions WHERE tenant_id = %(tenant)s"
            " AND (%(status)s::text IS NULL OR status = %(status)s)"
            " AND (%(method)s::text IS NULL OR upload_method = %(method)s)"
        )
        values = {"tenant": tenant_id, "status": status, "method": method, **page_values(page)}
        total = await self._rows(f"SELECT count(*) AS total {where}", values)
        rows = await self._rows(
            f"SELECT * {where} AND {older(page)} ORDER BY created_at DESC, id {PAGE}", values
        )
        return [_to_session(row) for row in rows], total[0]["total"]

    async def results(
        self, session_id: UUID, *, include_failed: bool, page: PageRequest
    ) -> tuple[Sequence[Item], int]:
        """Return a page of final items with their pictures, in order, and the total number."""
        states = _FINAL if include_failed else "('completed', 'skipped')"
        where = f"FROM items WHERE session_id = %(id)s AND state IN {states}"
        values = {"id": session_id, **page_values(page)}
        total = await self._rows(f"SELECT count(*) AS total {where}", values)
        rows = await self._rows(
            f"SELECT * {where} AND {further(page)} ORDER BY position {PAGE}", values
        )
        return await self._with_images(rows), total[0]["total"]

    async def recent(self, session_id: UUID, *, failed: bool, limit: int) -> Sequence[Item]:
        """Return the newest items that completed (or failed), with their pictures."""
        states = "('failed')" if failed else "('completed', 'skipped')"
        rows = await self._rows(
            f"SELECT * FROM items WHERE session_id = %s AND state IN {states}"
            f" AND state IN {_FINAL} ORDER BY changed_at DESC, position DESC LIMIT %s",
            (session_id, limit),
        )
        return await self._with_images(rows)

    async def counts(self, session_id: UUID) -> ItemCounts:
        """Count the session's items by state."""
        rows = await self._rows(
            "SELECT CASE WHEN i.state = 'queued' AND a.status = 'processing' THEN 'processing'"
            " ELSE i.state END AS state, count(*) AS items"
            " FROM items i LEFT JOIN analyses a ON a.image_id = i.id AND a.status = 'processing'"
            " WHERE i.session_id = %s GROUP BY 1",
            (session_id,),
        )
        return ItemCounts(**{row["state"]: row["items"] for row in rows})

    async def items(self, tenant_id: UUID, session_id: UUID) -> Sequence[Item]:
        """Return all items, in the order of the request."""
        rows = await self._rows(
            "SELECT * FROM items WHERE tenant_id = %s AND session_id = %s ORDER BY position",
            (tenant_id, session_id),
        )
        return [_to_item(row) for row in rows]

    async def item_by_key(self, tenant_id: UUID, object_key: str) -> Item | None:
        """Return the item with this object key; None if there is none."""
        rows = await self._rows(
            "SELECT * FROM items WHERE tenant_id = %s AND object_key = %s", (tenant_id, object_key)
        )
        return _to_item(rows[0]) if rows else None

    async def item_by_idempotency_key(self, tenant_id: UUID, key: str) -> Item | None:
        """Return the item that was reserved with this idempotency key; None if there is none."""
        rows = await self._rows(
            "SELECT * FROM items WHERE tenant_id = %s AND idempotency_key = %s", (tenant_id, key)
        )
        return _to_item(rows[0]) if rows else None

    async def items_by_idempotency_keys(
        self, tenant_id: UUID, keys: Sequence[str]
    ) -> dict[str, Item]:
        """Return the items with these idempotency keys, by key."""
        rows = await self._rows(
            "SELECT * FROM items WHERE tenant_id = %s AND idempotency_key = ANY(%s)",
            (tenant_id, list(keys)),
        )
        return {row["idempotency_key"]: _to_item(row) for row in rows}

    async def states(self, session_id: UUID) -> str:
        """Return the state of each item in their order, as the first letter of its name.

        One that is being confirmed counts as uploading.
        """
        rows = await self._rows(
            "SELECT coalesce(string_agg(CASE state WHEN 'confirming' THEN 'u'"
            " ELSE left(state, 1) END, '' ORDER BY position), '') AS states"
            " FROM items WHERE session_id = %s",
            (session_id,),
        )
        return str(rows[0]["states"])

    async def take(self, id: UUID) -> bool:
        """Move an item from uploading to confirming; False if another request has it.

        One that has been confirming for minutes belonged to a process that died.
        """
        cursor = await self._connection.execute(
            "UPDATE items SET state = 'confirming', changed_at = clock_timestamp()"
            " WHERE id = %s AND (state = 'uploading' OR (state = 'confirming'"
            f" AND changed_at < clock_timestamp() - interval '{_CONFIRM_TIMEOUT}'))",
            (id,),
        )
        return cursor.rowcount == 1

    async def give_back(self, id: UUID) -> None:
        """Move an item from confirming back to uploading, after an error."""
        await self._connection.execute(
            "UPDATE items SET state = 'uploading', changed_at = clock_timestamp()"
            " WHERE id = %s AND state = 'confirming'",
            (id,),
        )

    async def move(
        self,
        id: UUID,
        to: ItemState,
        *,
        image_id: UUID | None = None,
        error: str | None = None,
        retryable: bool | None = None,
    ) -> bool:
        """Change an item that is not final, and its session's counters; False if it is final."""
        rows = await self._rows(
            "WITH old AS (SELECT id, state FROM items WHERE id = %s"
            f" AND state NOT IN {_FINAL} FOR UPDATE)"
            " UPDATE items i SET state = %s, image_id = coalesce(%s, image_id), error = %s,"
            " retryable = %s, changed_at = clock_timestamp() FROM old WHERE i.id = old.id"
            " RETURNING i.session_id, old.state AS before",
            (id, to, image_id, error, retryable),
        )
        if not rows:
            return False
        if rows[0]["session_id"] is not None:
            counted = await self._rows(
                _COUNT,
                {"before": rows[0]["before"], "after": to, "session": rows[0]["session_id"]},
            )
            if to.is_final:
                await self._announce(counted)
            await self._notify(rows[0]["session_id"])
        return True

    async def cancel(self, session: Session) -> int:
        """Skip the queued and uploading items; return how many analyses that ended.

        Their jobs are deleted; one that just started finds its analysis final.
        """
        ended = await self._rows(
            "UPDATE analyses SET status = 'skipped', completed_at = clock_timestamp()"
            " WHERE status = 'queued' AND request_id IS NULL AND image_id IN"
            " (SELECT id FROM items WHERE session_id = %s AND state = 'queued')"
            " RETURNING id, image_id",
            (session.id,),
        )
        await self._connection.execute(
            "DELETE FROM procrastinate_jobs WHERE status = 'todo' AND task_name = 'analyse'"
            " AND args->>'analysis_id' = ANY(%s)",
            ([str(row["id"]) for row in ended],),
        )
        skipped = await self._rows(
            "UPDATE items SET state = 'skipped', error = 'The session was cancelled.',"
            " retryable = true, changed_at = clock_timestamp()"
            " WHERE session_id = %s AND (state = 'uploading' OR (state = 'queued'"
            " AND id = ANY(%s))) RETURNING id",
            (session.id, [row["image_id"] for row in ended]),
        )
        cancelled = await self._rows(
            "UPDATE sessions s SET cancelled_at = clock_timestamp(),"
            " last_activity_at = clock_timestamp(), skipped = skipped + %s,"
            " uploading = (SELECT count(*) FROM items WHERE session_id = s.id"
            " AND state = 'confirming') WHERE id = %s RETURNING *",
            (len(skipped), session.id),
        )
        await self._announce(cancelled)
        await self._notify(session.id)
        return len(ended)

    async def expire(self, limit: int) -> int:
        """Fail up to ``limit`` expired reservations; return how many."""
        rows = await self._rows(
            "SELECT id, session_id FROM items WHERE state IN ('uploading', 'confirming')"
            " AND expires_at < clock_timestamp() - interval '2 minutes'"
            " ORDER BY session_id, id LIMIT %s FOR UPDATE SKIP LOCKED",
            (limit,),
        )
        for row in rows:
            await self.move(
                row["id"],
                ItemState.FAILED,
                error="The file did not come before the URL expired.",
                retryable=True,
            )
        await self._connection.execute(
            "UPDATE sessions SET expired_at = clock_timestamp() WHERE id = ANY(%s)"
            " AND failed = total AND cancelled_at IS NULL",
            (list({row["session_id"] for row in rows if row["session_id"]}),),
        )
        return len(rows)

    async def _announce(self, changed: Sequence[Row]) -> None:
        """Emit the event of a session whose last file has just become final."""
        for row in changed:
            session = _to_session(row)
            if not session.pending:
                event = session_completed(session)
                await PostgresWebhooks(self._connection).emit(session.tenant_id, event)

    async def _notify(self, session_id: UUID) -> None:
        """Notify waiting API processes; delivered with the commit, once per transaction."""
        await self._connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, str(session_id)))

    async def _with_images(self, rows: list[Row]) -> Sequence[Item]:
        ids = [row["image_id"] or row["id"] for row in rows]
        images = {image.id: image for image in await self._images(ids)}
        return [_to_item(row, images.get(row["image_id"] or row["id"])) for row in rows]

    async def _images(self, ids: list[UUID]) -> Sequence[Image]:
        return await PostgresImages(self._connection).by_ids(ids)

    async def _rows(
        self, query: str, parameters: tuple[object, ...] | dict[str, object]
    ) -> list[Row]:
        cursor = await self._connection.execute(query.encode(), parameters)
        return await cursor.fetchall()


def _new_row(item: Item) -> dict[str, Any]:
    return {
        "id": item.id,
        "tenant_id": item.tenant_id,
        "session_id": item.session_id,
        "position": item.position,
        "filename": item.filename,
        "content_type": item.content_type,
        "size_bytes": item.size_bytes,
        "object_key": item.object_key,
        "storage_target": item.storage_target,
        "idempotency_key": item.idempotency_key,
        "title": item.title,
        "tags": item.tags,
        "state": item.state,
        "image_id": item.image_id,
        "error": item.error,
        "retryable": item.retryable,
        "created_at": item.created_at,
        "changed_at": item.created_at,
        "expires_at": item.expires_at,
        "level": item.level,
        "vocabulary": item.vocabulary and asdict(item.vocabulary),
    }


def _to_session(row: Mapping[str, Any]) -> Session:
    return Session(
        id=row["id"],
        tenant_id=row["tenant_id"],
        upload_method=UploadMethod(row["upload_method"]),
        intent=Intent(row["intent"]),
        level=VerificationLevel(row["level"]),
        total=row["total"],
        uploading=row["uploading"],
        completed=row["completed"],
        failed=row["failed"],
        skipped=row["skipped"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        completed_at=row["completed_at"],
        cancelled_at=row["cancelled_at"],
        last_activity_at=row["last_activity_at"],
        status=SessionStatus(row["status"]),
    )


def _to_ended(row: Mapping[str, Any], texts: Mapping[str, str | None], excerpt: int) -> Ended:
    """Return an item; ``texts`` are the descriptions of pictures that people have edited."""
    description = texts.get(row["image_id"], row["description"])
    return Ended(
        filename=row["filename"],
        position=row["position"],
        state=ItemState(row["state"]),
        image_id=row["image_id"] and UUID(row["image_id"]),
        error=row["error"],
        retryable=row["retryable"],
        description=description and description[:excerpt],
        processing_ms=row["processing_ms"],
    )


def _to_item(row: Mapping[str, Any], image: Image | None = None) -> Item:
    return Item(
        id=row["id"],
        tenant_id=row["tenant_id"],
        session_id=row["session_id"],
        position=row["position"],
        filename=row["filename"],
        state=ItemState(row["state"]),
        created_at=row["created_at"],
        content_type=row["content_type"],
        size_bytes=row["size_bytes"],
        object_key=row["object_key"],
        storage_target=StorageTarget(row["storage_target"]),
        idempotency_key=row["idempotency_key"],
        title=row["title"],
        tags=tuple(row["tags"]),
        image_id=row["image_id"],
        error=row["error"],
        retryable=row["retryable"],
        changed_at=row["changed_at"],
        expires_at=row["expires_at"],
        level=row["level"] and VerificationLevel(row["level"]),
        vocabulary=to_vocabulary(row["vocabulary"]),
        image=image,
    )
