"""What ``client.chats`` gives back."""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Annotated, Any, Self

from aion.types._model import From, Model, record
from aion.types.common import ChatTokenType, MessageRole
from aion.types.file_collection import FileCollection, FileRef
from aion.types.references import (
    ParsedReferences,
    ResultRefData,
    parse_references,
    resolve_content,
    result_refs_of,
)


@record
class ImageReference(Model):
    """A picture that an answer shows; ``filename`` is empty where the server does not tell it."""

    image_id: str
    filename: str
    thumbnail_url: str | None = None
    description: str | None = None
    confidence: float | None = None
    title: str | None = None
    stored_url: Annotated[str | None, From("stored_url", "full_url")] = None

    @classmethod
    def from_api_response(cls, data: Mapping[str, Any], **known: Any) -> Self:
        """Build the object from a decoded JSON object; ``known`` values win over ``data``."""
        if isinstance(data, Mapping):
            known = {"filename": data.get("filename") or "", **known}
        return super().from_api_response(data, **known)


class _Text(Model):
    """A text with markup, and the metadata that tell what it stands for."""

    content: str
    metadata: dict[str, Any] | None

    @property
    def resolved_content(self) -> str:
        """The text with names and numbers in the place of markup."""
        return resolve_content(self.content, self.metadata)

    @property
    def references(self) -> ParsedReferences:
        """The pictures and counts that the text refers to."""
        return parse_references(self.content, self.metadata)

    @property
    def result_refs(self) -> dict[str, ResultRefData]:
        """What the counts of the text stand for, by key."""
        return result_refs_of(self.metadata or {})


@record
class ChatMessage(_Text):
    """One message of a session; ``image_context`` are the pictures that it shows."""

    id: str
    role: MessageRole
    content: str
    created_at: datetime | None = None
    token_count: int = 0
    image_context: list[ImageReference] | None = None
    metadata: dict[str, Any] | None = None

    def as_collection(self) -> FileCollection:
        """Return the pictures that the message shows."""
        return _collection(self.image_context)


@record
class ChatResponse(_Text):
    """An answer; ``images`` are the pictures that it cites, in its order.

    ``provider`` is the backend that answered, ``ocelli-local`` where none is configured.
    """

    message_id: str
    session_id: str
    content: str
    token_count: int = 0
    provider: str = ""
    model: str = ""
    processing_time_ms: int = 0
    images: Annotated[list[ImageReference] | None, From("images", "image_context")] = None
    metadata: dict[str, Any] | None = None

    @classmethod
    def from_api_response(cls, data: Mapping[str, Any], session_id: str = "", **known: Any) -> Self:
        """Build the object from a decoded JSON object; ``session_id`` if it has none itself."""
        if isinstance(data, Mapping):
            known = {"session_id": data.get("session_id") or session_id, **known}
        return super().from_api_response(data, **known)

    def as_collection(self) -> FileCollection:
        """Return the pictures that the answer cites."""
        return _collection(self.images)


@record
class ChatToken(Model):
    """An event of a streamed answer. ``data`` is all of it.

    ``content`` is the text of a TOKEN, the whole text of COMPLETE, the message of an ERROR.
    """

    type: ChatTokenType
    content: str | None = None
    data: dict[str, Any] | None = None

    @classmethod
    def from_sse_event(cls, event_type: str, event_data: dict[str, Any]) -> Self:
        """Build the object from an event. Raises ValueError for an unknown type."""
        type = ChatTokenType(event_type)
        content = event_data.get("content")
        if type in (ChatTokenType.ERROR, ChatTokenType.AUTH_ERROR):
            content = event_data.get("message") or event_data.get("error")
        return cls(type, content, event_data)

    @property
    def resolved_content(self) -> str | None:
        """The text without markup; None unless the type is COMPLETE."""
        if not self._is_whole:
            return None
        told = (self.data or {}).get("resolved_content")
        return told if isinstance(told, str) else resolve_content(self.content or "", self.data)

    @property
    def references(self) -> ParsedReferences | None:
        """What the text refers to; None unless the type is COMPLETE."""
        return parse_references(self.content or "", self.data) if self._is_whole else None

    @property
    def result_refs(self) -> dict[str, ResultRefData] | None:
        """What its counts stand for; None unless the type is COMPLETE."""
        return result_refs_of(self.data or {}) if self._is_whole else None

    @property
    def _is_whole(self) -> bool:
        return self.type is ChatTokenType.COMPLETE


@record
class ChatSession(Model):
    """A session: a conversation about the pictures of the library, or some of them."""

    id: Annotated[str, From("id", "session_id")]
    title: str
    total_messages: int = 0
    total_tokens: int = 0
    remaining_tokens: int = 0
    remaining_messages: int = 0
    is_active: bool = True
    use_all_images: bool = True
    selected_image_count: int = 0
    created_at: datetime | None = None
    updated_at: datetime | None = None
    last_message_at: datetime | None = None
    last_message_preview: str | None = None
    last_user_message: str | None = None


@record
class ChatSessionDetail(Model):
    """A session with its messages, the oldest first."""

    session: ChatSession
    messages: list[ChatMessage] = field(default_factory=list)
    selected_image_ids: list[str] | None = None
    selected_video_ids: list[str] | None = None
    current_search_result_ids: list[str] | None = None

    def as_collection(self) -> FileCollection:
        """Return what was found last, or else what is selected."""
        ids = self.current_search_result_ids
        if not ids:
            ids = [*(self.selected_image_ids or ()), *(self.selected_video_ids or ())]
        return FileCollection.from_ids(ids, "images", "chat")


@record
class SessionList(Model):
    """A page of sessions, the last active first."""

    items: Annotated[list[ChatSession], From("sessions", "items")] = field(default_factory=list)
    total: Annotated[int, From("total_count", "total")] = 0
    has_more: bool = False


@record
class PlanActionResponse(Model):
    """What became of a plan. ``status`` is ``accepted`` where it is carried out later."""

    success: bool
    plan_id: str
    message: str
    action_taken: str
    results: dict[str, Any] | None = None
    agent_results: list[dict[str, Any]] | None = None
    pending_actions: list[dict[str, Any]] | None = None
    status: str | None = None


@record
class ChatImageList(Model):
    """Ids of pictures of the library, the newest first."""

    image_ids: list[str]
    total_count: int
    has_more: bool

    def as_collection(self) -> FileCollection:
        """Return these pictures."""
        return FileCollection.from_ids(self.image_ids, "images", "chat")


def _collection(images: list[ImageReference] | None) -> FileCollection:
    return FileCollection((_ref(image) for image in images or ()), "images", "chat")


def _ref(image: ImageReference) -> FileRef:
    known = {"title": image.title, "description": image.description}
    metadata = {name: value for name, value in known.items() if value is not None}
    return FileRef(image.image_id, "image/*", image.filename or None, metadata=metadata)
