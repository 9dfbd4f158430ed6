"""Conversations about the library: ``client.chats``, and ``client.chat_session()``."""

from __future__ import annotations

from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from aion._chat_stream import StreamReading
from aion._paths import segment
from aion._shape import list_of, object_of
from aion.exceptions import (
    AionvisionConnectionError,
    AionvisionError,
    AionvisionTimeoutError,
    ChatError,
    ServerError,
)
from aion.resources._base import Resource, flag, given, pages, require
from aion.types.chat import (
    ChatImageList,
    ChatMessage,
    ChatResponse,
    ChatSession,
    ChatSessionDetail,
    ChatToken,
    ImageReference,
    PlanActionResponse,
    SessionList,
)
from aion.types.common import ChatTokenType

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence
    from types import TracebackType

MAX_TITLE_LENGTH = 255
MAX_MESSAGE_LENGTH = 10_000
MAX_SEARCH_LENGTH = 500
EXPORT_FORMATS = ("json", "markdown", "text")


@dataclass(slots=True)
class ChatSessionConfig:
    """How a session is opened, and whether it is closed at the end of its block."""

    title: str | None = None
    image_ids: list[str] | None = None
    use_all_images: bool = True
    auto_close: bool = True


class ChatResource(Resource):
    """Talk about the pictures of the library."""

    def session(
        self,
        *,
        title: str | None = None,
        image_ids: Sequence[str] | None = None,
        use_all_images: bool = True,
        auto_close: bool = True,
    ) -> ChatSessionContext:
        """A session for ``async with``: opened on entry, closed at the end.

        Args:
            title: what it is called; by default the beginning of the first message.
            image_ids: the pictures that it is about, at most 1,000, with
                ``use_all_images=False``.
            use_all_images: it is about all pictures.
            auto_close: close it at the end; it can still be read then.
        """
        ids = None if image_ids is None else list(image_ids)
        return ChatSessionContext(self, ChatSessionConfig(title, ids, use_all_images, auto_close))

    async def send(
        self,
        message: str,
        *,
        session_id: str,
        force_detailed_analysis: bool = False,
        expected_image_ids: Sequence[str] | None = None,
    ) -> ChatResponse:
        """Send a message, and wait for its answer.

        Args:
            message: 1 to 10,000 characters.
            session_id: the session.
            force_detailed_analysis: look again at the pictures in question, thoroughly.
            expected_image_ids: what you believe to be selected; the session is changed to it.

        Raises:
            ChatError: the session is closed, or there is no answer.
            QuotaExceededError: the session, or the month, is used up.
            ResourceNotFoundError: there is no such session.
            ValidationError: an argument makes no sense.
        """
        body = _message(message, force_detailed_analysis, expected_image_ids)
        path = f"{_path(session_id)}/messages"
        try:
            answer = await self._http.json("POST", path, json=body)
        except AionvisionError as error:
            raise _chat_error(error, session_id) from error
        return ChatResponse.from_api_response(answer, session_id)

    async def send_stream(
        self,
        message: str,
        *,
        session_id: str,
        force_detailed_analysis: bool = False,
        expected_image_ids: Sequence[str] | None = None,
    ) -> AsyncGenerator[ChatToken]:
        """Send a message, and watch its answer being made.

        Leaving the loop early ends the work. An error after the start is a token of its own. Where
        the connection breaks off, a RECONNECTING token comes, and then COMPLETE if the answer was
        stored.

        Args:
            message: 1 to 10,000 characters.
            session_id: the session.
            force_detailed_analysis: look again at the pictures in question, thoroughly.
            expected_image_ids: what you believe to be selected; the session is changed to it.

        Raises:
            ChatError: the session is closed.
            ResourceNotFoundError: there is no such session.
            SSEStreamError: the stream broke off, and there is no answer.
            ValidationError: an argument makes no sense.
        """
        body = _message(message, force_detailed_analysis, expected_image_ids)
        reading = StreamReading()
        try:
            async with self._http.events(
                f"{_path(session_id)}/messages/stream", method="POST", json=body
            ) as events:
                async for event in events:
                    token = reading.token(event)
                    if token is not None:
                        yield token
            if reading.ended:
                return
            lost: AionvisionError | None = None
        except (AionvisionConnectionError, AionvisionTimeoutError) as error:
            if not reading.count:
                raise
            if reading.ended:
                return
            lost = error
        except AionvisionError as error:
            raise _chat_error(error, session_id) from error
        yield ChatToken(ChatTokenType.RECONNECTING, None, {"type": "reconnecting", "attempt": 1})
        yield reading.resumed(await self._messages_or_none(session_id), lost)

    async def create_session(
        self,
        *,
        title: str | None = None,
        image_ids: Sequence[str] | None = None,
        use_all_images: bool = True,
    ) -> ChatSession:
        """Open a session; see :meth:`session` for the arguments.

        Raises:
            ResourceNotFoundError: there is no such picture.
            ValidationError: an argument makes no sense.
        """
        require(title is None or len(title) <= MAX_TITLE_LENGTH, "at most 255 characters", "title")
        ids = None if image_ids is None else list(image_ids)
        body = given(title=title, initial_image_ids=ids, use_all_images=use_all_images)
        answer = await self._http.json("POST", "/chat/sessions", json=body)
        return ChatSession.from_api_response(
            answer, use_all_images=use_all_images, selected_image_count=len(ids or ())
        )

    async def get_session(
        self, session_id: str, *, include_messages: bool = True, message_limit: int | None = None
    ) -> ChatSessionDetail:
        """A session with its messages, the oldest first.

        Args:
            session_id: the session.
            include_messages: without them only the session comes.
            message_limit: the last ones only, from 1 to 1,000.

        Raises:
            ResourceNotFoundError: there is no such session.
        """
        params = given(include_messages=flag(include_messages), message_limit=message_limit)
        answer = await self._http.json("GET", _path(session_id), params=params)
        return ChatSessionDetail.from_api_response(answer)

    async def list_sessions(
        self, *, limit: int = 20, offset: int = 0, active_only: bool = False
    ) -> SessionList:
        """A page of sessions, the last active first.

        Args:
            limit: how many, from 1 to 100.
            offset: where the page begins.
            active_only: without those that are closed.
        """
        params = given(limit=limit, offset=offset, is_active=flag(True) if active_only else None)
        answer = await self._http.json("GET", "/chat/sessions", params=params)
        return SessionList.from_api_response(answer)

    async def iter_sessions(
        self, *, page_size: int = 20, active_only: bool = False
    ) -> AsyncIterator[ChatSession]:
        """All sessions, the last active first.

        Args:
            page_size: how many are asked for at once, from 1 to 100.
            active_only: without those that are closed.
        """

        async def fetch(where: dict[str, Any]) -> tuple[Sequence[ChatSession], bool, None]:
            page = await self.list_sessions(limit=page_size, active_only=active_only, **where)
            return page.items, page.has_more, None

        async for session in pages(fetch):
            yield session

    async def get_messages(self, session_id: str, *, limit: int | None = None) -> list[ChatMessage]:
        """The messages of a session, the oldest first; with ``limit`` the last ones.

        Raises:
            ResourceNotFoundError: there is no such session.
        """
        return (await self.get_session(session_id, message_limit=limit)).messages

    async def update_images(self, session_id: str, image_ids: Sequence[str]) -> dict[str, Any]:
        """Replace the pictures that a session is about, at most 1,000.

        Raises:
            ResourceNotFoundError: there is no such session, or picture.
        """
        return await self._put(session_id, "images", image_ids=list(image_ids))

    async def update_documents(
        self, session_id: str, document_ids: Sequence[str]
    ) -> dict[str, Any]:
        """Not offered by this server, which keeps pictures only. Raises ResourceNotFoundError."""
        return await self._put(session_id, "documents", document_ids=list(document_ids))

    async def update_videos(self, session_id: str, video_ids: Sequence[str]) -> dict[str, Any]:
        """Not offered by this server, which keeps pictures only. Raises ResourceNotFoundError."""
        require(len(video_ids) <= 100, "give at most 100 ids", "video_ids")
        return await self._put(session_id, "videos", video_ids=list(video_ids))

    async def update_mode(self, session_id: str, use_all_images: bool) -> dict[str, Any]:
        """Let a session be about all pictures, or about the selected ones.

        Raises:
            ResourceNotFoundError: there is no such session.
        """
        body = {"use_all_images": use_all_images}
        answer = await self._http.json("PATCH", f"{_path(session_id)}/mode", json=body)
        return object_of(answer)

    async def approve_plan(self, session_id: str, plan_id: str) -> PlanActionResponse:
        """Carry out what a session has proposed.

        Raises:
            AionvisionError: it is not waiting any more; ``code`` is ``CONFLICT``.
            ResourceNotFoundError: there is no such plan.
        """
        return await self._decide(session_id, plan_id, "approve")

    async def cancel_plan(self, session_id: str, plan_id: str) -> PlanActionResponse:
        """Give up what a session has proposed.

        Raises:
            AionvisionError: it is not waiting any more; ``code`` is ``CONFLICT``.
            ResourceNotFoundError: there is no such plan.
        """
        return await self._decide(session_id, plan_id, "cancel")

    async def close_session(self, session_id: str) -> dict[str, Any]:
        """Close a session: it takes no more messages, and can still be read.

        Raises:
            ResourceNotFoundError: there is no such session.
        """
        return object_of(await self._http.json("DELETE", _path(session_id)))

    async def rename_session(self, session_id: str, title: str) -> dict[str, Any]:
        """Set the title.

        Raises:
            ResourceNotFoundError: there is no such session.
            ValidationError: the title is empty, or has more than 255 characters.
        """
        require(1 <= len(title) <= MAX_TITLE_LENGTH, "give 1 to 255 characters", "title")
        answer = await self._http.json("PATCH", f"{_path(session_id)}/title", json={"title": title})
        return object_of(answer)

    async def export_session(
        self, session_id: str, *, format: str = "markdown", include_metadata: bool = False
    ) -> bytes:
        """A session as a file.

        Args:
            session_id: the session.
            format: ``json``, ``markdown`` or ``text``.
            include_metadata: with what is known of each message.

        Raises:
            ResourceNotFoundError: there is no such session.
            ValidationError: there is no such format.
        """
        wanted = f"format must be one of {', '.join(EXPORT_FORMATS)}, not {format!r}"
        require(format in EXPORT_FORMATS, wanted, "format")
        params = {"format": format, "include_metadata": flag(include_metadata)}
        return await self._http.content(f"{_path(session_id)}/export", params=params)

    async def get_all_images(self, *, limit: int = 1_000, offset: int = 0) -> ChatImageList:
        """The ids of the pictures of the library, the newest first.

        Args:
            limit: how many, from 1 to 5,000.
            offset: where the page begins.
        """
        params = {"limit": limit, "offset": offset}
        answer = await self._http.json("GET", "/chat/images/all", params=params)
        return ChatImageList.from_api_response(answer)

    async def search_images(
        self, query: str, *, limit: int = 50, offset: int = 0
    ) -> list[ImageReference]:
        """The pictures that ``query`` describes, the best first.

        Args:
            query: 1 to 500 characters.
            limit: how many, from 1 to 100.
            offset: where the page begins.

        Raises:
            ValidationError: an argument makes no sense.
        """
        require(1 <= len(query) <= MAX_SEARCH_LENGTH, "give 1 to 500 characters", "query")
        body = {"query": query, "limit": limit, "offset": offset}
        answer = await self._http.json("POST", "/chat/images/search", json=body)
        return [ImageReference.from_api_response(each) for each in list_of(answer, "results")]

    async def _messages_or_none(self, session_id: str) -> Sequence[ChatMessage]:
        with suppress(AionvisionError):
            return await self.get_messages(session_id)
        return ()

    async def _put(self, session_id: str, what: str, **body: list[str]) -> dict[str, Any]:
        answer = await self._http.json("PUT", f"{_path(session_id)}/{what}", json=body)
        return object_of(answer)

    async def _decide(self, session_id: str, plan_id: str, action: str) -> PlanActionResponse:
        path = f"{_path(session_id)}/plans/{segment(plan_id)}/action"
        answer = await self._http.json("POST", path, json={"action": action})
        if not answer:  # it is carried out in the background
            return PlanActionResponse(
                True, plan_id, "It is being carried out.", action, status="accepted"
            )
        return PlanActionResponse.from_api_response(answer)


class ChatSessionContext:
    """A session within ``async with``::

    async with client.chat_session() as session:
        print((await session.send("Show me sunsets")).content)
    """

    def __init__(self, chats: ChatResource, config: ChatSessionConfig) -> None:
        self._chats = chats
        self._config = config
        self._session: ChatSession | None = None

    async def __aenter__(self) -> Self:
        config = self._config
        self._session = await self._chats.create_session(
            title=config.title, image_ids=config.image_ids, use_all_images=config.use_all_images
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._config.auto_close:
            with suppress(AionvisionError):  # it must not hide what happened in the block
                await self._chats.close_session(self.session_id)

    @property
    def session(self) -> ChatSession:
        """The session as it was opened. Raises RuntimeError before the block."""
        if self._session is None:
            raise RuntimeError("Not open yet: use `async with client.chat_session() as session:`")
        return self._session

    @property
    def session_id(self) -> str:
        """The id of the session. Raises RuntimeError before the block."""
        return self.session.id

    async def send(
        self,
        message: str,
        *,
        force_detailed_analysis: bool = False,
        expected_image_ids: Sequence[str] | None = None,
    ) -> ChatResponse:
        """See :meth:`ChatResource.send`."""
        return await self._chats.send(
            message,
            session_id=self.session_id,
            force_detailed_analysis=force_detailed_analysis,
            expected_image_ids=expected_image_ids,
        )

    async def send_stream(
        self,
        message: str,
        *,
        force_detailed_analysis: bool = False,
        expected_image_ids: Sequence[str] | None = None,
    ) -> AsyncGenerator[ChatToken]:
        """See :meth:`ChatResource.send_stream`."""
        tokens = self._chats.send_stream(
            message,
            session_id=self.session_id,
            force_detailed_analysis=force_detailed_analysis,
            expected_image_ids=expected_image_ids,
        )
        async with aclosing(tokens):
            async for token in tokens:
                yield token

    async def update_images(self, image_ids: Sequence[str]) -> dict[str, Any]:
        """See :meth:`ChatResource.update_images`."""
        return await self._chats.update_images(self.session_id, image_ids)

    async def update_documents(self, document_ids: Sequence[str]) -> dict[str, Any]:
        """See :meth:`ChatResource.update_documents`."""
        return await self._chats.update_documents(self.session_id, document_ids)

    async def update_videos(self, video_ids: Sequence[str]) -> dict[str, Any]:
        """See :meth:`ChatResource.update_videos`."""
        return await self._chats.update_videos(self.session_id, video_ids)

    async def approve_plan(self, plan_id: str) -> PlanActionResponse:
        """See :meth:`ChatResource.approve_plan`."""
        return await self._chats.approve_plan(self.session_id, plan_id)

    async def cancel_plan(self, plan_id: str) -> PlanActionResponse:
        """See :meth:`ChatResource.cancel_plan`."""
        return await self._chats.cancel_plan(self.session_id, plan_id)

    async def get_messages(self, *, limit: int | None = None) -> list[ChatMessage]:
        """See :meth:`ChatResource.get_messages`."""
        return await self._chats.get_messages(self.session_id, limit=limit)


def _path(session_id: str) -> str:
    return f"/chat/sessions/{segment(session_id)}"


def _message(text: str, detailed: bool, expected: Sequence[str] | None) -> dict[str, Any]:
    require(1 <= len(text) <= MAX_MESSAGE_LENGTH, "give 1 to 10,000 characters", "message")
    return given(
        message=text,
        force_detailed_analysis=detailed,
        expected_image_ids=None if expected is None else list(expected),
    )


def _chat_error(error: AionvisionError, session_id: str) -> AionvisionError:
    """The error of a chat that a server's answer stands for; others stay what they are."""
    if error.code == "SESSION_CLOSED" or isinstance(error, ServerError):
        return ChatError(
            error.message, session_id=session_id, error_code=error.code, details=error.details
        )
    return error
