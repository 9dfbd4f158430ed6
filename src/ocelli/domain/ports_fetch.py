"""What asking about pictures by address needs from the world; see ports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Fetched:
    """What an address led to. ``url`` is where it was in the end; ``content_type`` a claim."""

    data: bytes
    content_type: str | None
    url: str


class Fetcher(Protocol):
    """Goes where a user says, and not where that could do harm."""

    async def get(self, url: str, *, videos: bool = False) -> Fetched:
        """A picture (or a video, if those are welcome), bounded in bytes, time and redirects.

        Raises InvalidUrl, FetchFailed, and ValidationFailed for what is no picture.
        """
        ...
