"""How far the stream of an answer was read, and what becomes of one that breaks off. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aion.exceptions import SSEStreamError
from aion.types.chat import ChatToken
from aion.types.common import ChatTokenType, MessageRole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aion.types.chat import ChatMessage

_KNOWN_TYPES = frozenset(ChatTokenType)
_LAST_TYPES = frozenset(
    {ChatTokenType.COMPLETE, ChatTokenType.CLOSE, ChatTokenType.ERROR, ChatTokenType.AUTH_ERROR}
)


class StreamReading:
    """The events of one answer. ``ended``: nothing is missing."""

    def __init__(self) -> None:
        self.count = 0
        self.ended = False
        self._last_id: str | None = None
        self._message_id: str | None = None

    def token(self, event: Any) -> ChatToken | None:
        """The token of an event; None for one that this client does not know."""
        try:
            data = event.json() if event.data else {}
        except (ValueError, RecursionError):  # no event of this API
            data = None
        self.count += 1
        self._last_id = event.id or self._last_id
        if not isinstance(data, dict) or event.event not in _KNOWN_TYPES:
            return None
        if event.event == ChatTokenType.CONNECTION:
            self._message_id = data.get("message_id")
        self.ended |= event.event in _LAST_TYPES
        return ChatToken.from_sse_event(event.event, data)

    def resumed(self, messages: Sequence[ChatMessage], lost: Exception | None) -> ChatToken:
        """The answer, if it was stored before the stream broke off. Raises SSEStreamError."""
        for message in reversed(messages):
            if message.role is MessageRole.ASSISTANT and message.id == self._message_id:
                data = {**(message.metadata or {}), "message_id": message.id}
                data["content"] = message.content
                return ChatToken.from_sse_event(ChatTokenType.COMPLETE, data)
        raise SSEStreamError(
            "The stream broke off before its answer was complete. Send the message again.",
            last_event_id=self._last_id,
            events_received=self.count,
            reconnect_attempts=1,
        ) from lost
