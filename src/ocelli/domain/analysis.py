"""One analysis: a picture, what is asked about it, and how far the answer has come."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ocelli.domain.images import StorageTarget

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from ocelli.domain.errors import FailureType
    from ocelli.domain.findings import Findings


class Level(StrEnum):
    """How thoroughly a picture is looked at."""

    QUICK = "quick"
    STANDARD = "standard"
    THOROUGH = "thorough"
    CRITICAL = "critical"

    @property
    def looks(self) -> int:
        """Model calls per picture, and so credits."""
        return {Level.QUICK: 1, Level.STANDARD: 2, Level.THOROUGH: 2, Level.CRITICAL: 3}[self]


class Status(StrEnum):
    """The states of an analysis; every one ends in one of the last three."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"

    @property
    def is_final(self) -> bool:
        """Whether nothing will change any more."""
        return self in FINAL


FINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.SKIPPED})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an analysis failed, and whether asking again can help."""

    type: FailureType
    message: str
    retryable: bool


@dataclass(frozen=True, slots=True)
class Analysis:
    """One request to look at one stored picture, with its answer once there is one.

    ``findings`` holds one entry per backend that answered; ``looks`` counts model calls.
    """

    id: UUID
    tenant_id: UUID
    image_id: UUID | None
    object_key: str
    level: Level
    status: Status
    created_at: datetime
    storage_target: StorageTarget = StorageTarget.DEFAULT
    started_at: datetime | None = None
    completed_at: datetime | None = None
    attempts: int = 0
    looks: int = 0
    findings: tuple[Findings, ...] = ()
    description: str | None = None
    visible_text: str | None = None
    tags: tuple[str, ...] = ()
    confidence: float | None = None
    failure: Failure | None = None
    processing_ms: float | None = None
