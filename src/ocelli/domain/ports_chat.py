"""Protocols of chat: upstream servers, and the local answerer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from ocelli.domain.chat import Conversation
    from ocelli.domain.findings import Findings
    from ocelli.domain.questions import Question


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """The limits of a backend on pictures; None: unlimited.

    ``fetches`` says that it fetches addresses itself, so they are passed on unchanged.
    """

    max_side: int | None = None
    max_bytes: int | None = None
    max_count: int | None = None
    fetches: bool = False


class ChatReply(Protocol):
    """An answer of an upstream: its ``body``, or the ``events`` of a stream. Must be closed."""

    @property
    def body(self) -> bytes:
        """The JSON object of the answer, which is no error; empty for a stream."""
        ...

    @property
    def events(self) -> AsyncGenerator[bytes] | None:
        """Complete server-sent events, the first already received; the last is [DONE].

        None if it is no stream. Raises UpstreamError if the backend ends before [DONE].
        """
        ...

    def close(self) -> None:
        """Close the connection, or return it to the pool if all was read."""
        ...


class ChatUpstream(Protocol):
    """A server with OpenAI's chat completions, and the model that is requested from it."""

    @property
    def name(self) -> str:
        """The name of the backend in the settings."""
        ...

    @property
    def model(self) -> str:
        """The name of the model on the server."""
        ...

    @property
    def limits(self) -> PictureLimits: ...

    @property
    def token_field(self) -> str:
        """The one of ``max_tokens`` and ``max_completion_tokens`` that it understands."""
        ...

    async def ask(self, body: bytes, *, stream: bool, request_id: str) -> ChatReply:
        """Send a request and return the answer, with retries, within the backend's timeout.

        Raises UpstreamRefused, UpstreamFailed, UpstreamUnavailable.
        """
        ...


class ChatUpstreams(Protocol):
    """The configured upstreams."""

    @property
    def names(self) -> Sequence[str]:
        """The names, in the order of the settings."""
        ...

    def get(self, name: str) -> ChatUpstream | None:
        """Return the upstream of this name; None if it is not configured, or no chat server."""
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
    """An answer: ``text``, or the arguments (JSON) of the ``tool`` that is called."""

    text: str
    tool: str | None = None


class Answerer(Protocol):
    """Turns a conversation and the findings of its pictures into an answer. No I/O."""

    def check(self, conversation: Conversation) -> None:
        """Raise ChatError for a request that cannot be answered, whatever the pictures show."""
        ...

    def compares(self, question: str) -> bool:
        """Return whether ``question`` asks to compare pictures."""
        ...

    def description_request(self, conversation: Conversation) -> Question | None:
        """Return what is to be described, and how; None if something else is asked for."""
        ...

    def reply(self, conversation: Conversation, pictures: Sequence[AnalysedPicture]) -> Reply:
        """Return the answer. Raises ChatError if it does not fit the requested form."""
        ...
