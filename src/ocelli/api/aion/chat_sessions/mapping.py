"""From the domain to the bodies of ``/chat/sessions``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ocelli.api.aion.agents.mapping import organized
from ocelli.api.aion.agents.schemas import ResultRef
from ocelli.api.aion.chat_sessions import schemas
from ocelli.api.aion.files.mapping import confidence
from ocelli.domain.effective import effective
from ocelli.domain.images import VariantType
from ocelli.domain.library_chat import PREVIEW_LENGTH, shortened
from ocelli.domain.references import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from ocelli.api.aion.files.mapping import UrlOf
    from ocelli.domain.images import Image
    from ocelli.domain.library_chat import ChatSession, SessionMessage
    from ocelli.usecases.chat_sessions import SessionContent
    from ocelli.usecases.library_chat import Answered
    from ocelli.usecases.organize import Organized

TOKENS_OF_A_PICTURE = 250  # about what a model is told of one


def created(session: ChatSession) -> schemas.CreatedChatSession:
    """Return the body of a session that was opened."""
    return schemas.CreatedChatSession(
        session_id=str(session.id), title=session.title, created_at=session.created_at
    )


def summary(session: ChatSession) -> schemas.ChatSessionSummary:
    """Return the body of a session."""
    return schemas.ChatSessionSummary(
        id=str(session.id),
        title=session.title,
        total_messages=session.messages,
        total_tokens=session.tokens,
        remaining_tokens=session.remaining_tokens,
        remaining_messages=session.remaining_messages,
        is_active=session.closed_at is None,
        use_all_images=session.use_all_images,
        selected_image_count=len(session.image_ids),
        created_at=session.created_at,
        updated_at=session.updated_at,
        last_message_at=session.last_message_at,
        last_message_preview=_preview(session.last_message),
        last_user_message=_preview(session.last_user_message),
    )


def _preview(text: str | None) -> str | None:
    return None if text is None else shortened(plain(text, {}), PREVIEW_LENGTH)


def detail(content: SessionContent, url_of: UrlOf) -> schemas.ChatSessionDetail:
    """Return the body of a session with its messages."""
    images = {image.id: image for image in content.images}
    return schemas.ChatSessionDetail(
        session=summary(content.session),
        messages=[_message(each, images, url_of) for each in content.messages],
        selected_image_ids=[str(id) for id in content.session.image_ids],
        context_summary=content.session.summary,
    )


def _message(
    message: SessionMessage, images: Mapping[UUID, Image], url_of: UrlOf
) -> schemas.ChatSessionMessage:
    shown = [images[id] for id in message.image_ids if id in images]
    return schemas.ChatSessionMessage(
        id=str(message.id),
        role=message.role.value,
        content=message.content,
        token_count=message.token_count,
        processing_time_ms=message.processing_ms,
        created_at=message.created_at,
        image_context=image_infos(shown, url_of) if message.image_ids else None,
        metadata=metadata(message, shown, url_of) or None,
    )


def metadata(message: SessionMessage, shown: Sequence[Image], url_of: UrlOf) -> dict[str, Any]:
    """Return what is known of an answer: what its marks stand for, and how it was made."""
    known: dict[str, Any] = dict(message.notes)
    if message.refs:
        known["result_refs"] = {
            key: each.model_dump() for key, each in result_refs(message).items()
        }
    if shown:
        known["image_context"] = [each.model_dump() for each in image_infos(shown, url_of)]
    return known


def result_refs(message: SessionMessage) -> dict[str, ResultRef]:
    """Return what the counts of a message stand for."""
    return {
        key: ResultRef(
            count=each.count,
            ids=[str(id) for id in each.ids],
            image_ids=[str(id) for id in each.ids],
            label=each.label,
        )
        for key, each in message.refs.items()
    }


def image_infos(images: Sequence[Image], url_of: UrlOf) -> list[schemas.ChatImage]:
    """Return the bodies of pictures."""
    return [
        schemas.ChatImage(
            image_id=str(image.id),
            thumbnail_url=url_of(image, VariantType.SMALL),
            description=effective(image).description or "",
            title=image.title,
            stored_url=url_of(image, VariantType.ORIGINAL),
            filename=image.filename,
            confidence=confidence(image.described),
        )
        for image in images
    ]


def closed(session: ChatSession) -> schemas.ClosedChatSession:
    """Return the body of a session that was closed."""
    assert session.closed_at is not None
    return schemas.ClosedChatSession(
        session_id=str(session.id),
        closed_at=session.closed_at,
        total_messages=session.messages,
        total_tokens=session.tokens,
    )


def renamed(session: ChatSession) -> schemas.RenamedChatSession:
    """Return the body of a new title."""
    return schemas.RenamedChatSession(
        session_id=str(session.id), title=session.title, updated_at=session.updated_at
    )


def mode(session: ChatSession) -> schemas.ChatSessionMode:
    """Return the body of what a session is about."""
    return schemas.ChatSessionMode(
        session_id=str(session.id),
        use_all_images=session.use_all_images,
        selected_image_count=len(session.image_ids),
        updated_at=session.updated_at,
    )


def selection(session: ChatSession) -> schemas.ChatSelection:
    """Return the body of a selection."""
    count = len(session.image_ids)
    noun = "picture" if count == 1 else "pictures"
    return schemas.ChatSelection(
        session_id=str(session.id),
        selected_image_ids=[str(id) for id in session.image_ids],
        context_summary=f"{count} {noun} selected" if count else None,
        estimated_tokens=count * TOKENS_OF_A_PICTURE,
    )


def answer(answered: Answered, url_of: UrlOf) -> schemas.ChatMessageAnswer:
    """Return the body of an answer."""
    message, session = answered.message, answered.session
    images = image_infos(answered.images, url_of)
    return schemas.ChatMessageAnswer(
        message_id=str(message.id),
        session_id=str(session.id),
        content=message.content,
        resolved_content=message.plain,
        token_count=message.token_count or 0,
        processing_time_ms=message.processing_ms or 0,
        remaining_tokens=session.remaining_tokens,
        remaining_messages=session.remaining_messages,
        provider=str(message.notes.get("provider", "")),
        model=str(message.notes.get("model", "")),
        images=images,
        image_context=images,
        result_refs=result_refs(message),
        metadata=metadata(message, answered.images, url_of),
    )


def cancelled(plan_id: str) -> schemas.DecidedPlan:
    """Return the body of a plan that was given up."""
    return schemas.DecidedPlan(
        plan_id=plan_id, message="The plan is cancelled.", action_taken="cancelled"
    )


def approved(done: Organized) -> schemas.DecidedPlan:
    """Return the body of what a plan did."""
    moved, made = done.files_moved, done.folders_created
    body = organized(done, 0)
    actions = [each.model_dump() for each in body.actions]
    return schemas.DecidedPlan(
        plan_id=str(done.plan.id),
        message=f"Moved {moved} pictures, and made {made} folders.",
        action_taken="approved",
        results={"folders_created": made, "files_moved": moved, "undo": body.undo},
        agent_results=actions,
    )
