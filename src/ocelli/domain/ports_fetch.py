"""What asking about pictures by address needs from the network and from videos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Fetched:
    """What an address led to. ``url`` is where it was in the end; ``content_type`` a claim."""

    data: bytes
    content_type: str | None
    url: str


class Fetcher(Protocol):
    """Goes where a user says, and not where that could do harm."""

    async def get(self, url: str, *, videos: bool = False, max_bytes: int | None = None) -> Fetched:
        """A picture (or a video, if those are welcome), bounded in bytes, time and redirects.

        ``max_bytes`` is a bound below that of the settings.

        Raises InvalidUrl, FetchFailed, and ValidationFailed for what is no picture.
        """
        ...

    async def check(self, url: str) -> None:
        """Whether it may be gone to, by another on our behalf. Raises InvalidUrl, FetchFailed."""
        ...


class Poster(Protocol):
    """Tells an address that a user named, as carefully as a Fetcher goes there."""

    async def post(self, url: str, body: bytes) -> None:
        """JSON, once, no redirects; any 2xx is good. Raises InvalidUrl, FetchFailed."""
        ...


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a video, as a file; ``seconds`` from its beginning."""

    seconds: float
    data: bytes


class Videos(Protocol):
    """From a video to pictures."""

    def frames(self, data: bytes, *, interval: int, max_frames: int) -> Iterator[Frame]:
        """At most ``max_frames`` (0: as many as the server allows), lazily; blocks.

        Raises AnalysisFailed if it is damaged, or there are none.
        """
        ...


class VideoPages(Protocol):
    """Pages of videos, which only their sites' own players can fetch."""

    async def download(self, url: str) -> bytes:
        """The video of such a page. Raises FetchFailed."""
        ...
