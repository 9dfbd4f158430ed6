"""Routes of sessions: list, status, results, live progress, cancel."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Path, Query, Request
from fastapi.responses import StreamingResponse

from ocelli.api.aion.common import errors, resource_router
from ocelli.api.aion.files.routes import urls
from ocelli.api.aion.sessions import mapping, schemas
from ocelli.api.aion.sessions.events import progress
from ocelli.api.auth import CurrentKey, CurrentServices
from ocelli.api.cursors import Cursor, from_cursor, to_cursor
from ocelli.api.policy import requires
from ocelli.domain.paging import PageRequest
from ocelli.domain.scopes import KeyRole
from ocelli.domain.upload_sessions import SessionStatus, UploadMethod

router = resource_router("/uploads/sessions", tag="sessions")

SessionId = Annotated[str, Path(max_length=64, description="The session's id.")]
MAX_OFFSET = 2**31


@router.get("", summary="List sessions", responses=errors())
@requires(KeyRole.READ)
async def list_sessions(
    key: CurrentKey,
    services: CurrentServices,
    status: SessionStatus | None = None,
    upload_method: UploadMethod | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
    cursor: Cursor = None,
) -> schemas.SessionList:
    """Newest first."""
    after = from_cursor(cursor, "sessions", datetime, UUID)
    page = await services.sessions.page(
        key.tenant.id,
        status=status,
        method=upload_method,
        page=PageRequest(limit, offset, after),
    )
    last = page.sessions[-1] if page.has_more else None
    return schemas.SessionList(
        sessions=[mapping.summary(session) for session in page.sessions],
        total_count=page.total,
        offset=offset,
        limit=limit,
        has_more=page.has_more,
        next_cursor=last and to_cursor("sessions", (last.created_at, last.id)),
    )


@router.get(
    "/{session_id}/status",
    summary="How far a session has come",
    responses=errors(404),
)
@requires(KeyRole.READ)
async def session_status(
    session_id: SessionId, key: CurrentKey, services: CurrentServices
) -> schemas.SessionDetails:
    """Exact at every moment: the counters change with the files."""
    return mapping.details(await services.sessions.details(key.tenant.id, session_id))


@router.get("/{session_id}/results", summary="Finished files", responses=errors(404))
@requires(KeyRole.READ)
async def session_results(
    request: Request,
    session_id: SessionId,
    key: CurrentKey,
    services: CurrentServices,
    include_failed: bool = True,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor: Cursor = None,
) -> schemas.SessionResults:
    """In the order of the request."""
    page_request = PageRequest(limit, offset, from_cursor(cursor, "session", int))
    page = await services.sessions.results(
        key.tenant.id, session_id, include_failed=include_failed, page=page_request
    )
    images = [item.image for item in page.items if item.image is not None]
    return mapping.results(page, page_request, await urls(request, services, images))


@router.get(
    "/{session_id}/events",
    summary="Live progress",
    response_class=StreamingResponse,
    responses={
        **errors(404),
        200: {
            "description": "Server-sent events: `progress` with the body of `/status` at once and "
            "whenever something has changed, `done` with the last one; then the stream ends.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
    },
)
@requires(KeyRole.READ)
async def session_events(
    session_id: SessionId, key: CurrentKey, services: CurrentServices
) -> StreamingResponse:
    """Instead of polling."""
    session = await services.sessions.get(key.tenant.id, session_id)

    async def stream() -> AsyncIterator[str]:
        async for event in progress(services, session):
            yield event

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream(), media_type="text/event-stream", headers=headers)


@router.post("/{session_id}/cancel", summary="Cancel a session", responses=errors(400, 404))
@requires(KeyRole.WRITE)
async def cancel_session(
    session_id: SessionId, key: CurrentKey, services: CurrentServices
) -> schemas.SessionDetails:
    """What has not begun is ended and its credits are given back; results stay."""
    return mapping.details(await services.sessions.cancel(key.tenant.id, session_id))
