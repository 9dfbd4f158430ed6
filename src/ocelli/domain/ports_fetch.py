"""What asking about pictures by address needs from the world; see ports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from ocelli.domain.requests import Balance, Request


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

    def frames(self, data: bytes, *, interval: int, most: int) -> Iterator[Frame]:
        """At most ``most`` (0: as many as the server allows), lazily; blocks.

        Raises AnalysisFailed if it is damaged, or there are none.
        """
        ...


class VideoPages(Protocol):
    """Pages of videos, which only their sites' own players can fetch."""

    async def download(self, url: str) -> bytes:
        """The video of such a page. Raises FetchFailed."""
        ...


class Requests(Protocol):
    """Requests about several pictures."""

    async def add(self, request: Request, body: str) -> None:
        """``body`` is what polls are answered until it is finished."""
        ...

    async def unfinished(self, tenant_id: UUID) -> int:
        """How many, counted up to a bound."""
        ...

    async def exists(self, id: UUID) -> bool:
        """Whether this is a request, finished or not, and not something else."""
        ...

    async def lock(self, id: UUID) -> Request | None:
        """Hold it until this transaction ends; None if there is none, or it is finished."""
        ...

    async def is_pending(self, id: UUID) -> bool:
        """Whether one of its analyses is not final."""
        ...

    async def reserve(self, id: UUID, credits: int) -> None:
        """Note that so many more are reserved for it."""
        ...

    async def finish(self, id: UUID, *, paid: int, body: str) -> None:
        """Final; whoever waits is told when this commits."""
        ...

    async def body(self, tenant_id: UUID, id: UUID) -> tuple[str, bool] | None:
        """What a poll is answered, and whether that is final."""
        ...

    async def purge(self, *, older_than: float) -> int:
        """Forget those that ended so many seconds ago."""
        ...


class Credits(Protocol):
    """The tenants' balances, exact under concurrency."""

    async def balance(self, tenant_id: UUID) -> Balance:
        """As it is now."""
        ...

    async def take(self, tenant_id: UUID, credits: int) -> bool:
        """Reserve; False, and nothing taken, if there are fewer. Holds the balance until commit:
        must come last in its transaction."""
        ...

    async def give(self, tenant_id: UUID, credits: int) -> Balance:
        """Back, or new ones; the balance then."""
        ...

    async def give_to(self, tenant: str, credits: int) -> Balance | None:
        """By name; None if there is no such tenant."""
        ...
