"""What conversations need from servers of chat models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from ocelli.domain.chat import Conversation
    from ocelli.domain.findings import Findings


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """What a backend wants of pictures; None: anything.

    ``fetches`` says that it can reach the addresses that clients name, so they stay as they are.
    """

    max_side: int | None = None
    max_bytes: int | None = None
    max_count: int | None = None
    fetches: bool = False


class ChatReply(Protocol):
    """An answer that has begun: ``body``, or of a stream its ``events``. It must be closed."""

    @property
    def body(self) -> bytes:
        """A JSON object that holds an answer and no error; empty for a stream."""
        ...

    @property
    def events(self) -> AsyncGenerator[bytes] | None:
        """Whole events, the first of which is here; the last is [DONE].

        Raises UpstreamError where the backend ends before that.
        """
        ...

    def close(self) -> None:
        """Hang up, or keep the connection if all was read."""
        ...


class ChatUpstream(Protocol):
    """A server that speaks the chat completions of OpenAI, and the model that we ask there."""

    @property
    def name(self) -> str:
        """As in the settings."""
        ...

    @property
    def model(self) -> str:
        """As the server calls it."""
        ...

    @property
    def limits(self) -> PictureLimits: ...

    @property
    def token_field(self) -> str:
        """The one of ``max_tokens`` and ``max_completion_tokens`` that it understands."""
        ...

    async def ask(self, body: bytes, *, stream: bool, request_id: str) -> ChatReply:
        """What it answers, asked again where that can help, within the backend's deadline.

        Raises UpstreamRefused, UpstreamFailed, UpstreamUnavailable.
        """
        ...


class ChatUpstreams(Protocol):
    """Those that are configured."""

    @property
    def names(self) -> Sequence[str]:
        """In the order of the settings."""
        ...

    def get(self, name: str) -> ChatUpstream | None:
        """None if it is not configured, or is none of this kind."""
        ...


@dataclass(frozen=True, slots=True)
class AnalysedPicture:
    """A picture of a conversation: its findings, the hash of its bytes, its size in pixels.

    ``dhash`` is a 64-bit perceptual hash, None if it was not computed.
    """

    findings: Findings
    sha256: str
    dhash: int | None = None
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: ``text``, or the arguments (JSON) of ``tool`` if that is called."""

    text: str
    tool: str | None = None


class Answerer(Protocol):
    """Turns a conversation and the findings of its pictures into an answer. No I/O."""

    def check(self, conversation: Conversation) -> None:
        """Raise ChatError for a request that cannot be answered, whatever its pictures show."""
        ...

    def compares(self, question: str) -> bool:
        """Whether ``question`` asks to compare pictures."""
        ...

    def reply(self, conversation: Conversation, pictures: Sequence[AnalysedPicture]) -> Reply:
        """Raises ChatError where the answer has no place in the form that was asked for."""
        ...
