"""The sessions and items that record uploads of several files."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ocelli.domain.errors import Conflict, NotFound, OcelliError
from ocelli.domain.upload_sessions import Intent, Item, ItemState, Session, UploadMethod
from ocelli.usecases.filenames import clean_filename

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.domain.accounts import Tenant
    from ocelli.domain.analysis import VerificationLevel
    from ocelli.storage.postgres.database import PostgresTransaction
    from ocelli.usecases.upload import Accepted, IncomingFile, UploadRequest


async def record_in(
    tx: PostgresTransaction,
    tenant: Tenant,
    files: Sequence[IncomingFile],
    outcomes: Sequence[Accepted],
    level: VerificationLevel,
    session_id: UUID,
) -> None:
    """Add to the session of this id, or open it. Raises Conflict if it was cancelled."""
    session, items = _new_session(tenant, files, outcomes, level, Intent.DESCRIBE, session_id)
    if await tx.sessions.get(tenant.id, session_id) is None:
        await tx.sessions.add(session, items)
    elif not await tx.sessions.extend(session, items):
        raise Conflict("This session was cancelled: it takes no more pictures.")


async def record_session(
    tx: PostgresTransaction,
    tenant: Tenant,
    files: Sequence[IncomingFile],
    outcomes: Sequence[Accepted | OcelliError],
    level: VerificationLevel,
    intent: Intent,
    into: UUID | None,
) -> Session:
    """Open a session with these files, or add to the open one ``into``; return it as it is then.

    Raises NotFound.
    """
    session, items = _new_session(tenant, files, outcomes, level, intent, into)
    if into is None:
        await tx.sessions.add(session, items)
    elif not await tx.sessions.extend(session, items):
        raise NotFound("Open session", str(into))
    found = await tx.sessions.get(tenant.id, session.id)
    assert found is not None
    return found


def _new_session(
    tenant: Tenant,
    files: Sequence[IncomingFile],
    outcomes: Sequence[Accepted | OcelliError],
    level: VerificationLevel,
    intent: Intent,
    id: UUID | None,
) -> tuple[Session, list[Item]]:
    """Return a session of these files, and its items."""
    now = datetime.now(UTC)
    states = [
        item_state(outcome, file.request) for outcome, file in zip(outcomes, files, strict=True)
    ]
    counts = Counter(states)
    session = Session(
        id=id or uuid.uuid4(),
        tenant_id=tenant.id,
        upload_method=UploadMethod.STREAMING,
        level=level,
        intent=intent,
        total=len(files),
        completed=counts[ItemState.COMPLETED],
        failed=counts[ItemState.FAILED],
        skipped=counts[ItemState.SKIPPED],
        created_at=now,
        started_at=now,
    )
    if not session.pending:
        session = replace(session, completed_at=now)
    items = [
        _item(session, position, file, outcome, state)
        for position, (file, outcome, state) in enumerate(zip(files, outcomes, states, strict=True))
    ]
    return session, items


def _item(
    session: Session,
    position: int,
    file: IncomingFile,
    outcome: Accepted | OcelliError,
    state: ItemState,
) -> Item:
    item = Item(
        id=uuid.uuid4(),
        tenant_id=session.tenant_id,
        session_id=session.id,
        position=position,
        filename=clean_filename(file.request.filename),
        state=state,
        created_at=session.created_at,
        storage_target=file.request.storage_target,
        idempotency_key=file.key,
    )
    if isinstance(outcome, OcelliError):
        return replace(item, error=outcome.message, retryable=outcome.retryable)
    image = outcome.image
    return replace(
        item,
        id=item.id if outcome.duplicate else image.id,
        image_id=image.id,
        object_key=None if outcome.duplicate else image.object_key,
        content_type=image.content_type,
        size_bytes=image.size_bytes,
    )


def item_state(outcome: Accepted | OcelliError, request: UploadRequest) -> ItemState:
    """Return the state of an item with this outcome."""
    if isinstance(outcome, OcelliError):
        return ItemState.FAILED
    if outcome.duplicate:
        return ItemState.SKIPPED
    return ItemState.QUEUED if request.describe else ItemState.COMPLETED
