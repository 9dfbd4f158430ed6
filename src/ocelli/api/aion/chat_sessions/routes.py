"""Routes of ``/chat/sessions``."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Annotated

from fastapi import Path, Query, Request
from fastapi.responses import Response

from ocelli.api.aion.agents.routes import asking
from ocelli.api.aion.chat_sessions import events, mapping, schemas
from ocelli.api.aion.common import errors, resource_router
from ocelli.api.aion.files.routes import urls
from ocelli.api.auth import CurrentKey, CurrentServices
from ocelli.api.policy import requires
from ocelli.api.streams import EventStream
from ocelli.domain.chat_export import ChatFormat, export_chat
from ocelli.domain.library_chat import SessionLimitReached
from ocelli.domain.paging import PageRequest
from ocelli.domain.scopes import KeyRole
from ocelli.usecases.chat_plans import PlanAction
from ocelli.usecases.library_chat import Answered

router = resource_router("/chat/sessions", tag="chat")

ChatSessionId = Annotated[str, Path(max_length=64, description="The session's id.")]
MAX_OFFSET = 2**31 - 1
EVENT = {
    "type": "object",
    "description": "Of each event; `data` is JSON, and its `type` is that of the event.",
    "properties": {each: {"type": "string"} for each in ("event", "data", "id")},
}


@router.post("", summary="Open a chat session", responses=errors(404))
@requires(KeyRole.WRITE, stores=True)
async def create_chat_session(
    body: schemas.NewChatSession, key: CurrentKey, services: CurrentServices
) -> schemas.CreatedChatSession:
    """A conversation about all pictures, or about those of `initial_image_ids`."""
    session = await services.chat_sessions.create(
        key.tenant.id,
        body.title and body.title.strip(),
        image_ids=body.initial_image_ids or (),
        use_all_images=body.use_all_images,
    )
    return mapping.created(session)


@router.get("", summary="List chat sessions", responses=errors())
@requires(KeyRole.READ)
async def list_chat_sessions(
    key: CurrentKey,
    services: CurrentServices,
    is_active: Annotated[bool | None, Query(description="Not closed, or closed.")] = None,
    search: Annotated[
        str | None, Query(max_length=200, description="In titles and messages.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
    min_messages: Annotated[int | None, Query(ge=0, le=MAX_OFFSET)] = None,
) -> schemas.ChatSessionList:
    """The last active first."""
    sessions, total = await services.chat_sessions.page(
        key.tenant.id,
        PageRequest(limit, offset),
        is_active=is_active,
        search=search,
        min_messages=min_messages,
    )
    return schemas.ChatSessionList(
        sessions=[mapping.summary(each) for each in sessions],
        total_count=total,
        has_more=offset + len(sessions) < total,
    )


@router.get("/{chat_session_id}", summary="A chat session with its messages", responses=errors(404))
@requires(KeyRole.READ)
async def get_chat_session(
    request: Request,
    chat_session_id: ChatSessionId,
    key: CurrentKey,
    services: CurrentServices,
    include_messages: bool = True,
    message_limit: Annotated[int | None, Query(ge=1, le=1_000)] = None,
) -> schemas.ChatSessionDetail:
    """The oldest message first; with `message_limit` the last ones."""
    content = await services.chat_sessions.content(
        key.tenant.id, chat_session_id, message_limit if include_messages else 0
    )
    return mapping.detail(content, await urls(request, services, content.images))


@router.delete("/{chat_session_id}", summary="Close a chat session", responses=errors(404))
@requires(KeyRole.WRITE)
async def close_chat_session(
    chat_session_id: ChatSessionId, key: CurrentKey, services: CurrentServices
) -> schemas.ClosedChatSession:
    """It takes no more messages, and can still be read."""
    return mapping.closed(await services.chat_sessions.close(key.tenant.id, chat_session_id))


@router.patch(
    "/{chat_session_id}/title", summary="Rename a chat session", responses=errors(400, 404)
)
@requires(KeyRole.WRITE)
async def rename_chat_session(
    chat_session_id: ChatSessionId,
    body: schemas.NewChatTitle,
    key: CurrentKey,
    services: CurrentServices,
) -> schemas.RenamedChatSession:
    """Of an open or a closed one."""
    session = await services.chat_sessions.rename(key.tenant.id, chat_session_id, body.title)
    return mapping.renamed(session)


@router.patch(
    "/{chat_session_id}/mode",
    summary="Let a chat session be about all pictures, or about the selected ones",
    responses=errors(400, 404),
)
@requires(KeyRole.WRITE)
async def set_chat_session_mode(
    chat_session_id: ChatSessionId,
    body: schemas.NewChatMode,
    key: CurrentKey,
    services: CurrentServices,
) -> schemas.ChatSessionMode:
    """The selection stays."""
    session = await services.chat_sessions.use_all(
        key.tenant.id, chat_session_id, body.use_all_images
    )
    return mapping.mode(session)


@router.put(
    "/{chat_session_id}/images",
    summary="Select the pictures that a chat session is about",
    responses=errors(400, 404),
)
@requires(KeyRole.WRITE)
async def select_chat_session_images(
    chat_session_id: ChatSessionId,
    body: schemas.NewChatSelection,
    key: CurrentKey,
    services: CurrentServices,
) -> schemas.ChatSelection:
    """They replace the selection. With at least one, the session is about the selection only."""
    session = await services.chat_sessions.select(key.tenant.id, chat_session_id, body.image_ids)
    return mapping.selection(session)


@router.post(
    "/{chat_session_id}/messages",
    summary="Send a message, and wait for its answer",
    responses=errors(400, 404, 409, 502),
)
@requires(KeyRole.WRITE, stores=True)
async def send_chat_message(
    request: Request,
    chat_session_id: ChatSessionId,
    body: schemas.NewChatMessage,
    key: CurrentKey,
    services: CurrentServices,
) -> schemas.ChatMessageAnswer:
    """The answer cites the pictures that it speaks of.

    A session takes 100 messages, answers included, and 100,000 tokens; then this is 429.
    """
    turn = await services.library_chat.accept(
        key.tenant.id,
        chat_session_id,
        body.message,
        expected=body.expected_image_ids,
        detailed=body.force_detailed_analysis,
        request_key=request.headers.get("Idempotency-Key"),
    )
    answered: Answered | None = None
    answering = services.library_chat.answer(asking(request, key, services), turn)
    async with aclosing(answering) as found:
        async for event in found:
            if isinstance(event, Answered):
                answered = event
    assert answered is not None
    return mapping.answer(answered, await urls(request, services, answered.images))


@router.post(
    "/{chat_session_id}/messages/stream",
    summary="Send a message, and watch its answer being made",
    response_class=EventStream,
    status_code=200,
    responses={
        **errors(400, 404),
        200: {
            "description": "Server-sent events, in this order: `connection`, `thinking`, "
            "`thinking_step` and `status`, `tool_invocation`, `tool_result`, `image_results`, "
            "`token` for each piece of the answer, `complete` with all of it, `close`. What goes "
            "wrong after the start is an `error` event; `ping` may come at any time.",
            "content": {"text/event-stream": {"schema": EVENT}},
        },
    },
)
@requires(KeyRole.WRITE, stores=True)
async def stream_chat_message(
    request: Request,
    chat_session_id: ChatSessionId,
    body: schemas.NewChatMessage,
    key: CurrentKey,
    services: CurrentServices,
    debug_reasoning: Annotated[
        bool, Query(description="`thinking_step` tells how the message was read.")
    ] = False,
) -> EventStream:
    """A client that leaves ends the work: its message stays, without an answer.

    The answer is checked as a whole before its first piece leaves.
    """
    urls_of = partial(urls, request, services)
    try:
        turn = await services.library_chat.accept(
            key.tenant.id,
            chat_session_id,
            body.message,
            expected=body.expected_image_ids,
            detailed=body.force_detailed_analysis,
        )
    except SessionLimitReached as error:
        return _event_stream(events.refusal(error, uuid.uuid4()))
    answering = services.library_chat.answer(asking(request, key, services), turn)
    return _event_stream(
        events.stream(answering, turn.answer_id, urls_of, reasoning=debug_reasoning)
    )


def _event_stream(frames: AsyncGenerator[bytes]) -> EventStream:
    return EventStream(frames, events.error_event, {})


@router.post(
    "/{chat_session_id}/plans/{plan_id}/action",
    summary="Approve or cancel what a chat session proposes",
    responses=errors(400, 404, 409),
)
@requires(KeyRole.WRITE, stores=True)
async def decide_chat_plan(
    chat_session_id: ChatSessionId,
    plan_id: Annotated[str, Path(max_length=64, description="Of `metadata.plan` of an answer.")],
    body: schemas.PlanDecision,
    key: CurrentKey,
    services: CurrentServices,
) -> schemas.DecidedPlan:
    """All or nothing. 409 once it is decided. `POST /agents/organize/{plan_id}/undo` undoes it."""
    tenant_id = key.tenant.id
    if body.action is PlanAction.CANCEL:
        await services.chat_plans.cancel(tenant_id, chat_session_id, plan_id)
        return mapping.cancelled(plan_id)
    return mapping.approved(await services.chat_plans.approve(tenant_id, chat_session_id, plan_id))


@router.get(
    "/{chat_session_id}/export",
    summary="A chat session as a file",
    response_class=Response,
    responses={
        **errors(404),
        200: {
            "description": "The file.",
            "content": {
                "application/json": {"schema": {"type": "object"}},
                "text/markdown": {"schema": {"type": "string"}},
                "text/plain": {"schema": {"type": "string"}},
            },
        },
    },
)
@requires(KeyRole.READ)
async def export_chat_session(
    chat_session_id: ChatSessionId,
    key: CurrentKey,
    services: CurrentServices,
    format: ChatFormat = ChatFormat.MARKDOWN,
    include_metadata: Annotated[
        bool, Query(description="With what is known of each message.")
    ] = False,
) -> Response:
    """With names and numbers in the place of marks."""
    content = await services.chat_sessions.content(key.tenant.id, chat_session_id)
    file = export_chat(content.session, content.messages, format, include_metadata=include_metadata)
    name = f"chat-{content.session.id}{file.suffix}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(file.content, media_type=file.content_type, headers=headers)
