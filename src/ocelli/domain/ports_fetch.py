"""Protocols of fetching pictures by address, of videos, and of webhooks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Fetched:
    """A fetched file. ``url`` is the address after redirects; ``content_type`` is the server's,
    unchecked.
    """

    data: bytes
    content_type: str | None
    url: str


class Fetcher(Protocol):
    """Fetches addresses that users give, and refuses those of private networks."""

    async def get(self, url: str, *, videos: bool = False, max_bytes: int | None = None) -> Fetched:
        """Fetch a picture (or, with ``videos``, a video), bounded in bytes, time and redirects.

        ``max_bytes`` lowers the bound of the settings.

        Raises InvalidUrl, FetchFailed, and ValidationFailed if it is no picture.
        """
        ...

    async def check(self, url: str) -> None:
        """Check that another server may be given the address to fetch.

        Raises InvalidUrl, FetchFailed.
        """
        ...


@dataclass(frozen=True, slots=True)
class PostAnswer:
    """The status that answered a post, and the seconds of its Retry-After, if it had one."""

    status: int
    retry_after: float | None = None


class Poster(Protocol):
    """Posts to addresses that users give, with the checks of a Fetcher."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> PostAnswer:
        """Post JSON once, without redirects, whatever the status of the answer.

        The trace that ``headers`` name is gone on with if tracing is on, else not told.
        Raises InvalidUrl, FetchFailed.
        """
        ...


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a video, as a file; ``seconds`` from its beginning."""

    seconds: float
    data: bytes


class Videos(Protocol):
    """Decodes videos. ``memory``: bytes that decoding one may take."""

    memory: int

    def frames(self, data: bytes, *, interval: int, max_frames: int) -> Iterator[Frame]:
        """Yield a frame every ``interval`` seconds, at most ``max_frames`` (0: the server's limit).

        Decodes lazily and blocks. Raises AnalysisFailed for a damaged video, or one without frames.
        """
        ...


class VideoPages(Protocol):
    """Downloads videos from the pages of video sites."""

    async def download(self, url: str) -> bytes:
        """Return the video of a page. Raises FetchFailed."""
        ...
