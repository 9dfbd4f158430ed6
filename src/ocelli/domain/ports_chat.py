"""What conversations need from servers of chat models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


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
    """An answer that has begun. Its holder must close it."""

    @property
    def status(self) -> int: ...
    @property
    def content_type(self) -> str: ...
    @property
    def retry_after(self) -> int | None:
        """In seconds, if it said so."""
        ...

    async def read(self) -> bytes:
        """All of it, within limits. Raises UpstreamUnavailable if it ends early."""
        ...

    def pieces(self) -> AsyncIterator[bytes]:
        """As they come in, not re-framed. Raises UpstreamUnavailable if they end early."""
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

    async def send(self, body: bytes, *, request_id: str) -> ChatReply:
        """Ask. Raises UpstreamUnavailable if no answer begins."""
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
