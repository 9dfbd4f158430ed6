"""Bodies of ``/chat/sessions``."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from ocelli.api.aion.agents.schemas import ResultRef
from ocelli.domain.library_chat import MAX_MESSAGE, MAX_SELECTED, MAX_TITLE
from ocelli.usecases.chat_plans import PlanAction

TITLE = {"json_schema_extra": {"examples": [{"title": "Holidays"}]}}


class NewChatSession(BaseModel):
    """A session to be opened."""

    model_config = ConfigDict(**TITLE)  # type: ignore[typeddict-item]

    title: str | None = Field(
        None, max_length=MAX_TITLE, description="Default: the first message's beginning."
    )
    initial_image_ids: list[UUID] | None = Field(
        None, max_length=MAX_SELECTED, description="The pictures that it is about."
    )
    use_all_images: bool = Field(True, description="It is about all pictures of the library.")


class CreatedChatSession(BaseModel):
    """A session that was opened."""

    session_id: str
    title: str
    created_at: datetime


class ChatSessionSummary(BaseModel):
    """A session, and how much of it is used."""

    id: str
    title: str
    total_messages: int
    total_tokens: int
    remaining_tokens: int = Field(description="Of those that a session may use.")
    remaining_messages: int = Field(description="Answers included.")
    is_active: bool = Field(description="False once it is closed.")
    use_all_images: bool
    selected_image_count: int
    created_at: datetime
    updated_at: datetime
    last_message_at: datetime | None
    last_message_preview: str | None = None
    last_user_message: str | None = None


class ChatSessionList(BaseModel):
    """A page of sessions, the last active first."""

    sessions: list[ChatSessionSummary]
    total_count: int
    has_more: bool


class ChatImage(BaseModel):
    """A picture that a message shows."""

    image_id: str
    thumbnail_url: str | None = None
    description: str | None = None
    title: str | None = None
    stored_url: str | None = None
    filename: str | None = None
    confidence: float | None = None


class ChatSessionMessage(BaseModel):
    """One message. Marks in ``content``: `[[img:ID|name]]` a picture, `[[ref:KEY]]` a count."""

    id: str
    role: Literal["user", "assistant", "system"]
    content: str
    token_count: int | None
    processing_time_ms: int | None
    created_at: datetime
    image_context: list[ChatImage] | None = Field(
        None, description="The pictures that it shows, but for those that are deleted by now."
    )
    metadata: dict[str, Any] | None = Field(
        None, description="Of an answer: `result_refs`, `vision_used`, `unchecked` and others."
    )


class ChatSessionDetail(BaseModel):
    """A session with its messages, the oldest first."""

    session: ChatSessionSummary
    messages: list[ChatSessionMessage]
    selected_image_ids: list[str]
    selected_video_ids: list[str] = []
    context_summary: str | None = Field(description="Of the part that is not told word by word.")


class ClosedChatSession(BaseModel):
    """A session that takes no more messages."""

    session_id: str
    closed_at: datetime
    total_messages: int
    total_tokens: int


class NewChatTitle(BaseModel):
    """What a session is called from now on."""

    model_config = ConfigDict(**TITLE)  # type: ignore[typeddict-item]

    title: str = Field(min_length=1, max_length=MAX_TITLE)


class RenamedChatSession(BaseModel):
    """A session's new title."""

    session_id: str
    title: str
    updated_at: datetime


class NewChatMode(BaseModel):
    """What a session is about from now on."""

    use_all_images: bool = Field(description="All pictures, or the selected ones.")


class ChatSessionMode(BaseModel):
    """What a session is about."""

    session_id: str
    use_all_images: bool
    selected_image_count: int
    updated_at: datetime


class NewChatSelection(BaseModel):
    """Pictures that replace the selection."""

    image_ids: list[UUID] = Field(max_length=MAX_SELECTED)


class ChatSelection(BaseModel):
    """The pictures that a session is about."""

    session_id: str
    selected_image_ids: list[str]
    selected_video_ids: list[str] = []
    context_summary: str | None
    estimated_tokens: int = Field(description="What a model would be told of them.")


class NewChatMessage(BaseModel):
    """A question, or anything else that a person says."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"message": "Which photos show a dog on a beach?"}]}
    )

    message: str = Field(min_length=1, max_length=MAX_MESSAGE)
    force_detailed_analysis: bool = Field(
        False, description="Look again at the pictures in question, thoroughly."
    )
    expected_image_ids: list[str] | None = Field(
        None,
        max_length=MAX_SELECTED,
        description="What the client believes to be selected; the session is changed to it.",
    )


class ChatMessageAnswer(BaseModel):
    """An answer, and what the session has left."""

    message_id: str
    session_id: str
    content: str = Field(description="With marks, see `ChatSessionMessage`.")
    resolved_content: str = Field(description="Without.")
    token_count: int
    processing_time_ms: int
    remaining_tokens: int
    remaining_messages: int
    provider: str = Field(description="The backend that answered; `ocelli-local`: none.")
    model: str
    images: list[ChatImage] = Field(description="The pictures that it cites, in its order.")
    image_context: list[ChatImage]
    result_refs: dict[str, ResultRef]
    metadata: dict[str, Any]


class PlanDecision(BaseModel):
    """What a person decides about a plan."""

    action: PlanAction
    plan_data: dict[str, Any] | None = Field(None, deprecated=True, description="Passed over.")


class DecidedPlan(BaseModel):
    """What became of a plan."""

    success: bool = True
    plan_id: str
    message: str
    action_taken: Literal["approved", "cancelled"]
    results: dict[str, Any] | None = None
    agent_results: list[dict[str, Any]] | None = None
    pending_actions: list[dict[str, Any]] | None = None
