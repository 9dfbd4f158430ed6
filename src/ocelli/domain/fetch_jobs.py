"""Requests to ``/api/fetch``: several pictures, their price, and the outcome."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ocelli.domain.analysis import Status
from ocelli.domain.errors import OcelliError
from ocelli.domain.pricing import PricingPlan  # noqa: TC001 (rows are read by these annotations)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from ocelli.domain.analysis import Analysis

MAX_SOURCES = 100
MAX_FILE = 20 * 1024 * 1024

# Positions of the pictures of a request are so far apart: between them lie a video's frames.
STRIDE = 100_000

_CONTAINERS = (".mp4", ".webm", ".mov", ".mkv", ".avi")
_PAGES = (
    ({"youtube.com", "m.youtube.com"}, re.compile(r"/(watch|shorts/|live/|embed/)")),
    ({"youtu.be"}, re.compile(r"/.")),
    ({"vimeo.com", "player.vimeo.com"}, re.compile(r"/(video/|channels/.*/)?\d+")),
    ({"x.com", "twitter.com", "mobile.twitter.com"}, re.compile(r"/[^/]+/status/\d+")),
)


class NoCredits(OcelliError):
    """The balance is zero."""

    code = "NO_CREDITS"
    status = 402

    def __init__(self) -> None:
        super().__init__("No credits.")


class InsufficientCredits(OcelliError):
    """The balance is less than the request costs."""

    code = "INSUFFICIENT_CREDITS"
    status = 402

    def __init__(self) -> None:
        super().__init__("Insufficient credits.")


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """The parameters that a client sent, as answers repeat them. Empty and 0 mean "not given"."""

    urls: tuple[str, ...] = ()
    files: int = 0
    file_names: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    backends: tuple[str, ...] = ()
    role: str = "general"
    tag_score: float = 0.9
    capture_interval: int = 0
    max_frames: int = 3

    @property
    def interval(self) -> int:
        """Seconds between frames."""
        return self.capture_interval or 1

    def frames_expected(self, url: str | None) -> int:
        """Return how many frames of ``url`` (None: a file) are paid for in advance.

        1 for what does not look like a video by its address, and for "all" frames.
        """
        return max(1, self.max_frames) if url is None or is_video_url(url) else 1


def is_video_url(url: str) -> bool:
    """Whether the address is that of a video, by its suffix or its site.

    >>> is_video_url("https://example.com/a.MP4?x=1"), is_video_url("https://youtu.be/abc")
    (True, True)
    """
    parts = _split(url)
    return parts is not None and (parts[1].endswith(_CONTAINERS) or is_video_page(url))


def is_video_page(url: str) -> bool:
    """Whether the address is a page of a video site, which only the site's player can fetch."""
    parts = _split(url)
    return parts is not None and any(
        parts[0] in hosts and path.match(parts[1]) for hosts, path in _PAGES
    )


def _split(url: str) -> tuple[str, str] | None:
    """Return host and path in lower case; None for an address that cannot be parsed."""
    try:
        parts = urlsplit(url)
        return (parts.hostname or "").removeprefix("www."), parts.path.lower()
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class CreditBalance:
    """A tenant's credits. ``number`` identifies the tenant on ``/api/fetch``."""

    number: int
    credits: int
    unmetered: bool = False

    @property
    def shown(self) -> int:
        """The balance that clients see: never below 0."""
        return max(0, self.credits)


@dataclass(frozen=True, slots=True)
class FetchJob:
    """A request in progress. ``reserved`` credits are held until the delivery is known."""

    id: UUID
    tenant_id: UUID
    user_id: int
    parameters: FetchRequest
    plan: PricingPlan
    reserved: int
    created_at: datetime
    completed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FetchOutcome:
    """The result of a request. ``credits`` is the balance after it was paid."""

    request: FetchJob
    answered: Sequence[Analysis]
    errors: tuple[str, ...]
    paid: int
    credits: int
    failure: str | None = None


def paid_for(request: FetchJob, analyses: Sequence[Analysis]) -> int:
    """Return the credits for the analyses that were completed."""
    return sum(
        request.plan.paid(found.source for found in each.findings)
        for each in analyses
        if each.status is Status.COMPLETED
    )


def partial_failures(request: FetchJob, analyses: Sequence[Analysis]) -> tuple[str, ...]:
    """Return messages of the partial failures of a request that has an answer.

    A backend that answered in place of another is no error: ``source`` names it.
    """
    answered = any(each.findings for each in analyses)
    found = [] if answered else list(request.plan.notes)
    for each in analyses:
        if each.failure is not None:
            found.append(f"{each.name}: {each.failure.message}")
        found += [f"{each.name}: {error.source}: {error.message}" for error in each.errors]
    return tuple(found)


def failure_of(analyses: Sequence[Analysis]) -> str | None:
    """Return the message of a failure of the whole request; None if there is none.

    A picture that cannot be fetched or read is reported beside the others, even if it is the only
    one: the request itself was carried out.
    """
    failures = [each.failure for each in analyses if each.failure is not None]
    server_failures = [each for each in failures if not each.is_of_picture]
    if any(each.status is Status.COMPLETED for each in analyses) or not failures:
        return None
    return server_failures[0].message if len(server_failures) == len(failures) else None
