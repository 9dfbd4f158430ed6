"""What was said about a tenant's pictures, and exports of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003 - read at run time, where requests are stored
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date
    from uuid import UUID

MOST_EXPORTED = 100_000


class SourceType(StrEnum):
    """Whether a picture came alone or in a session."""

    SINGLE = "single"
    BATCH = "batch"


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Filters, which all must hold. ``since`` is included, ``before`` is not.

    Every one of ``terms`` must occur in the description, the visible text or the title, in any
    case. Confidences are from 0 to 1; answers without one have none that is high or low.
    """

    since: datetime | None = None
    before: datetime | None = None
    min_confidence: float | None = None
    max_confidence: float | None = None
    terms: tuple[str, ...] = ()
    sources: frozenset[SourceType] = frozenset(SourceType)
    failed_too: bool = False


@dataclass(frozen=True, slots=True)
class HistoryRecord:
    """One analysis that has ended, with the picture that it is about."""

    id: UUID
    image_id: UUID
    session_id: UUID | None
    created_at: datetime
    filename: str
    title: str | None
    description: str | None
    visible_text: str | None
    tags: tuple[str, ...]
    confidence: float | None
    level: str
    content_type: str
    size_bytes: int
    width: int
    height: int
    error: str | None = None

    @property
    def source(self) -> SourceType:
        """How its picture came."""
        return SourceType.BATCH if self.session_id else SourceType.SINGLE


@dataclass(frozen=True, slots=True)
class HistoryStatistics:
    """Of all that match. ``confidences`` counts fifths: 0 to 0.2, 0.2 to 0.4, …"""

    total: int
    average_confidence: float | None = None
    confidences: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    days: Sequence[tuple[date, int]] = ()
    sources: Mapping[SourceType, int] = field(default_factory=dict)


class ExportFormat(StrEnum):
    """The value is also the suffix of the file."""

    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"

    @property
    def content_type(self) -> str:
        """The MIME type."""
        return {
            "csv": "text/csv; charset=utf-8",
            "json": "application/json",
            "jsonl": "application/x-ndjson",
        }[self.value]


class ExportStatus(StrEnum):
    """Every export ends in one of the last two."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What to write into the file, newest first, at most ``limit`` records."""

    format: ExportFormat
    query: HistoryQuery
    fields: tuple[str, ...]
    limit: int = MOST_EXPORTED


@dataclass(frozen=True, slots=True)
class Export:
    """A file that a client asked for; ``object_key`` once it is there."""

    id: UUID
    tenant_id: UUID
    request: ExportOptions
    status: ExportStatus
    created_at: datetime
    object_key: str | None = None
    record_count: int | None = None
    error: str | None = None
    completed_at: datetime | None = None
