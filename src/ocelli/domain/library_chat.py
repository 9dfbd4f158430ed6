"""Conversations about a tenant's library: sessions, messages, their limits and their past. Pure.

A message of a person and its answer have two places in a session, one behind the other: both are
reserved when the message is accepted, so answers of messages that came together do not mix.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID  # noqa: TC003 - rows are read by it

from ocelli.domain.chat import ChatMessage, count_text
from ocelli.domain.errors import OcelliError
from ocelli.domain.references import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

SESSION = "Chat session"
MAX_TOKENS = 100_000  # of a session
MAX_MESSAGES = 100  # of a session, answers included
MAX_TITLE = 255
MAX_MESSAGE = 10_000  # characters
MAX_SELECTED = 1_000  # pictures
NEW_TITLE = "New chat"
TITLE_LENGTH = 60  # characters of a first message that become the title
PREVIEW_LENGTH = 120
# Of longer conversations the older part is summarised: these are told word by word.
TOLD = 12  # messages
SUMMARY_LENGTH = 4_000  # characters; the oldest of a longer one is left out
SUMMARY_LINE = 200  # characters of each message


class ChatRole(StrEnum):
    """Who wrote a message."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"


class SessionClosed(OcelliError):
    """The session was closed: it can be read, and takes no more messages."""

    code = "SESSION_CLOSED"
    status = 400

    def __init__(self) -> None:
        super().__init__("This session is closed. Open a new one to go on.")


class SessionLimitReached(OcelliError):
    """A session has as many messages or tokens as it may have."""

    code = "USAGE_LIMIT_EXCEEDED"
    status = 429

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(
            f"A session has at most {limit:,} {what}. Open a new one to go on.",
            details={"limit": limit, "limit_type": what},
        )


@dataclass(frozen=True, slots=True)
class ResultRef:
    """What a ``[[ref:KEY]]`` stands for. ``ids`` may be fewer than ``count``."""

    count: int
    ids: tuple[UUID, ...]
    label: str


@dataclass(frozen=True, slots=True)
class SessionMessage:
    """One message. ``image_ids`` are the pictures that it shows, ``refs`` the counts by key.

    ``notes`` is what else is known of an answer, as clients get it.
    """

    id: UUID
    role: ChatRole
    content: str
    created_at: datetime
    token_count: int | None = None
    processing_ms: int | None = None
    image_ids: tuple[UUID, ...] = ()
    refs: Mapping[str, ResultRef] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def plain(self) -> str:
        """The content with names and numbers in the place of marks."""
        return plain(self.content, {key: each.count for key, each in self.refs.items()})


@dataclass(frozen=True, slots=True)
class ChatSession:
    """A conversation. ``places``: messages that are stored or reserved.

    ``image_ids`` is the selection, which counts unless ``use_all_images``. ``summarised``: so many
    messages are in ``summary``. ``is_named``: a person gave the title.
    """

    id: UUID
    tenant_id: UUID
    title: str
    is_named: bool
    use_all_images: bool
    created_at: datetime
    updated_at: datetime
    image_ids: tuple[UUID, ...] = ()
    last_message_at: datetime | None = None
    closed_at: datetime | None = None
    messages: int = 0
    places: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    summary: str | None = None
    summarised: int = 0
    last_message: str | None = None
    last_user_message: str | None = None

    @property
    def tokens(self) -> int:
        """All that were used, for questions and for answers."""
        return self.input_tokens + self.output_tokens

    @property
    def remaining_tokens(self) -> int:
        """How many may still be used."""
        return max(0, MAX_TOKENS - self.tokens)

    @property
    def remaining_messages(self) -> int:
        """How many messages, answers included, may still be stored."""
        return max(0, MAX_MESSAGES - self.places)

    @property
    def selection(self) -> tuple[UUID, ...] | None:
        """The pictures that it is about; None: all of the library."""
        return None if self.use_all_images else self.image_ids


def check_open(session: ChatSession) -> None:
    """Raise SessionClosed or SessionLimitReached if it takes no other message."""
    if session.closed_at is not None:
        raise SessionClosed
    if session.places + 2 > MAX_MESSAGES:
        raise SessionLimitReached("messages", MAX_MESSAGES)
    if session.tokens >= MAX_TOKENS:
        raise SessionLimitReached("tokens", MAX_TOKENS)


def tokens_of(text: str) -> int:
    """Return the tokens of a message, where no model says how many they are."""
    return count_text([ChatMessage("user", (text,))])


def title_of(message: str) -> str:
    """Return a title for a conversation that begins with ``message``.

    >>> title_of("  Show me   dogs ")
    'Show me dogs'
    """
    return shortened(message, TITLE_LENGTH) or NEW_TITLE


def shortened(text: str, length: int) -> str:
    """Return the text in one line, cut at a word to at most ``length`` characters."""
    line = " ".join(text[: 4 * length].split())
    if len(line) <= length:
        return line
    head, _, _ = line[:length].rpartition(" ")
    return f"{head or line[: length - 1]}…"


def compacted(
    summary: str | None, summarised: int, messages: Sequence[SessionMessage]
) -> tuple[str | None, int]:
    """Return the summary of all but the last ``TOLD`` messages, and how many it holds.

    ``messages`` are all of them. It is made of their beginnings, so it states nothing that was not
    said. Old lines go first.
    """
    until = max(0, len(messages) - TOLD)
    if until <= summarised:
        return summary, summarised
    lines = (summary or "").splitlines()
    for each in messages[summarised:until]:
        who = "Asked" if each.role is ChatRole.USER else "Answered"
        lines.append(f"{who}: {shortened(each.plain, SUMMARY_LINE)}")
    while sum(map(len, lines)) + len(lines) > SUMMARY_LENGTH:
        del lines[0]
    return "\n".join(lines), until
