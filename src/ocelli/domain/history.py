"""The history of a tenant's descriptions, and exports of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003 - read at run time, where requests are stored
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date
    from uuid import UUID

    from ocelli.domain.effective import Effective, MachineWords

MOST_EXPORTED = 100_000


class SourceType(StrEnum):
    """Whether a picture was uploaded alone or in a session."""

    SINGLE = "single"
    BATCH = "batch"


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Filters of a history; a record must satisfy all. ``since`` is inclusive, ``before`` is not.

    Every one of ``terms`` must occur in the description, the visible text or the title, in any
    case. Confidences are from 0 to 1; a bound excludes answers without one. ``include_failed`` adds
    failed analyses.
    """

    since: datetime | None = None
    before: datetime | None = None
    min_confidence: float | None = None
    max_confidence: float | None = None
    terms: tuple[str, ...] = ()
    sources: frozenset[SourceType] = frozenset(SourceType)
    include_failed: bool = False


@dataclass(frozen=True, slots=True)
class HistoryRecord:
    """One analysis that has ended, with its picture.

    ``shown`` is what is shown of the picture: a person's words first; ``machine`` what this
    analysis said. ``backends`` answered, comma-separated.
    """

    id: UUID
    image_id: UUID
    session_id: UUID | None
    created_at: datetime
    filename: str
    shown: Effective
    machine: MachineWords | None
    confidence: float | None
    level: str
    backends: str
    content_type: str
    size_bytes: int
    width: int
    height: int
    error: str | None = None

    @property
    def source(self) -> SourceType:
        """How the picture was uploaded."""
        return SourceType.BATCH if self.session_id else SourceType.SINGLE


@dataclass(frozen=True, slots=True)
class HistoryStatistics:
    """Statistics of all matching records. ``confidences`` counts fifths: 0 to 0.2, 0.2 to 0.4, …"""

    total: int
    average_confidence: float | None = None
    confidences: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    days: Sequence[tuple[date, int]] = ()
    sources: Mapping[SourceType, int] = field(default_factory=dict)


class ExportFormat(StrEnum):
    """The format of an export; the value is also the suffix of the file."""

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
    """The state of an export; the last two are final."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """The records and fields of an export: newest first, at most ``limit`` records."""

    format: ExportFormat
    query: HistoryQuery
    fields: tuple[str, ...]
    limit: int = MOST_EXPORTED


@dataclass(frozen=True, slots=True)
class Export:
    """An export of a history; ``object_key`` is set once the file is stored."""

    id: UUID
    tenant_id: UUID
    request: ExportOptions
    status: ExportStatus
    created_at: datetime
    object_key: str | None = None
    record_count: int | None = None
    error: str | None = None
    completed_at: datetime | None = None
