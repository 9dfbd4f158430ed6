"""A chat session of the sync client."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from aion.sync import SyncAionVision
    from aion.types.chat import ChatMessage, ChatResponse, ChatSession


class SyncChatSession:
    """A session that is open already; ``with`` closes it at the end::

    with client.chat_session() as session:
        print(session.send("Show me sunsets").content)
    """

    def __init__(
        self, client: SyncAionVision, session: ChatSession, *, auto_close: bool = True
    ) -> None:
        self._client = client
        self._session = session
        self._auto_close = auto_close
        self._closed = False

    @property
    def session(self) -> ChatSession:
        """The session as it was opened."""
        return self._session

    @property
    def session_id(self) -> str:
        """The id of the session."""
        return self._session.id

    @property
    def is_closed(self) -> bool:
        """Whether this session, or its client, was closed."""
        return self._closed or self._client.is_closed

    def close(self) -> None:
        """Close the session, if that was not done; what goes wrong with that is passed over."""
        if not self.is_closed:
            with suppress(Exception):
                self._client.chats.close_session(self.session_id)
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._auto_close:
            self.close()

    def send(
        self,
        message: str,
        *,
        force_detailed_analysis: bool = False,
        expected_image_ids: Sequence[str] | None = None,
    ) -> ChatResponse:
        """Send a message, and wait for its answer.

        Raises:
            RuntimeError: the session is closed.
        """
        if self.is_closed:
            raise RuntimeError("This session is closed")
        return self._client.chats.send(
            message,
            session_id=self.session_id,
            force_detailed_analysis=force_detailed_analysis,
            expected_image_ids=expected_image_ids,
        )

    def update_images(self, image_ids: Sequence[str]) -> dict[str, Any]:
        """Replace the pictures that the session is about."""
        return self._client.chats.update_images(self.session_id, image_ids)

    def update_documents(self, document_ids: Sequence[str]) -> dict[str, Any]:
        """Not offered by this server, which keeps pictures only."""
        return self._client.chats.update_documents(self.session_id, document_ids)

    def update_videos(self, video_ids: Sequence[str]) -> dict[str, Any]:
        """Not offered by this server, which keeps pictures only."""
        return self._client.chats.update_videos(self.session_id, video_ids)

    def get_messages(self, limit: int | None = None) -> list[ChatMessage]:
        """The messages of the session, the oldest first; with ``limit`` the last ones."""
        return self._client.chats.get_messages(self.session_id, limit=limit)
