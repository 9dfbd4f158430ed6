"""A request about several pictures at once, and what became of it."""

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

KEPT_FOR = 24 * 3600.0
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
    """What a client sent, as it is told back. Empty lists and zero mean "not said"."""

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
        """Of a video that came as a file (None), or is announced by its address, so many are paid
        for in advance; for "all" one. Whatever else turns out to be a video passed for a picture.
        """
        return max(1, self.max_frames) if url is None or is_video_url(url) else 1


def is_video_url(url: str) -> bool:
    """Whether the address says that a video is there: its ending, or whose page it is.

    >>> is_video_url("https://example.com/a.MP4?x=1"), is_video_url("https://youtu.be/abc")
    (True, True)
    """
    parts = _split(url)
    return parts is not None and (parts[1].endswith(_CONTAINERS) or is_video_page(url))


def is_video_page(url: str) -> bool:
    """Whether this is the page of a video, from which only its site's own player gets it."""
    parts = _split(url)
    return parts is not None and any(
        parts[0] in hosts and path.match(parts[1]) for hosts, path in _PAGES
    )


def _split(url: str) -> tuple[str, str] | None:
    """Host and path, in lower case."""
    try:
        parts = urlsplit(url)
        return (parts.hostname or "").removeprefix("www."), parts.path.lower()
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class CreditBalance:
    """A tenant's credits. ``number`` is the tenant as this surface calls it."""

    number: int
    credits: int
    unmetered: bool = False

    @property
    def shown(self) -> int:
        """What clients see: never less than nothing."""
        return max(0, self.credits)


@dataclass(frozen=True, slots=True)
class FetchJob:
    """``reserved`` credits are taken from the balance until it is known what was delivered."""

    id: UUID
    tenant_id: UUID
    user_id: int
    asked: FetchRequest
    plan: PricingPlan
    reserved: int
    created_at: datetime
    completed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FetchOutcome:
    """How a request ended. ``credits`` is the balance after it was paid."""

    request: FetchJob
    answered: Sequence[Analysis]
    errors: tuple[str, ...]
    paid: int
    credits: int
    failure: str | None = None


def paid_for(request: FetchJob, analyses: Sequence[Analysis]) -> int:
    """Credits for what was delivered, and for nothing else."""
    return sum(
        request.plan.paid(found.source for found in each.findings)
        for each in analyses
        if each.status is Status.COMPLETED
    )


def complaints(request: FetchJob, analyses: Sequence[Analysis]) -> tuple[str, ...]:
    """Everything that went wrong without spoiling the rest, in sentences.

    Who stood in for another and answered is no error: ``source`` says it.
    """
    answered = any(each.findings for each in analyses)
    found = [] if answered else list(request.plan.notes)
    for each in analyses:
        if each.failure is not None:
            found.append(f"{each.name}: {each.failure.message}")
        found += [f"{each.name}: {error.source}: {error.message}" for error in each.errors]
    return tuple(found)


def failure_of(analyses: Sequence[Analysis]) -> str | None:
    """Why there is nothing to show, if that is not for the pictures' own sake.

    A picture that cannot be had or read is reported beside the others, even where it is the only
    one: the request itself was carried out.
    """
    failures = [each.failure for each in analyses if each.failure is not None]
    ours = [each for each in failures if not each.is_of_picture]
    if any(each.status is Status.COMPLETED for each in analyses) or not failures:
        return None
    return ours[0].message if len(ours) == len(failures) else None
