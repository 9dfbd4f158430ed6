"""What a tenant asked for that takes a while: sessions, batches and fetch jobs, told alike."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID


class ActivityKind(StrEnum):
    """What an activity is, in the plural of its path."""

    SESSION = "sessions"
    BATCH = "batches"
    REQUEST = "requests"


@dataclass(frozen=True, slots=True)
class Activity:
    """One of them, with the number of its pictures in each state.

    ``total`` of a request that still fetches its pictures is what has come so far.
    """

    kind: ActivityKind
    id: UUID
    created_at: datetime
    level: str | None
    total: int
    completed: int
    failed: int
    skipped: int
    processing: int
    is_cancelled: bool
    is_over: bool
    label: str

    @property
    def done(self) -> int:
        """Pictures in a final state."""
        return self.completed + self.failed + self.skipped

    @property
    def waiting(self) -> int:
        """Pictures that no worker looks at yet."""
        return max(0, self.total - self.done - self.processing)


@dataclass(frozen=True, slots=True)
class FailedPicture:
    """A picture of an activity that has failed, and why; ``image_id`` if it is in the library."""

    name: str
    reason: str
    retryable: bool
    image_id: UUID | None = None
