"""Batches of questions, and their progress."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from ocelli.domain.analysis import Status, VerificationLevel


class BatchKind(StrEnum):
    """What a batch does with each picture."""

    DESCRIBE = "describe"
    VERIFY = "verify"


class BatchStatus(StrEnum):
    """The state of a batch; it is derived from the states of its items."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PARTIALLY_COMPLETED = "partially_completed"


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch job; ``inputs`` are the fields of each item as sent, without its picture."""

    id: UUID
    tenant_id: UUID
    kind: BatchKind
    level: VerificationLevel
    total: int
    inputs: tuple[Mapping[str, Any], ...]
    created_at: datetime
    cancelled_at: datetime | None = None
    webhook_url: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """Items by state, and when and how fast they were worked on (milliseconds)."""

    counts: Mapping[Status, int] = field(default_factory=dict)
    started_at: datetime | None = None
    completed_at: datetime | None = None
    mean_ms: float | None = None

    def count(self, *states: Status) -> int:
        """Return the number of items in these states."""
        return sum(self.counts.get(state, 0) for state in states)
