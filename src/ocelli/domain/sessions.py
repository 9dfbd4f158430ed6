"""Several files that come together, and how far each of them is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ocelli.domain.images import StorageTarget

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from ocelli.domain.analysis import VerificationLevel
    from ocelli.domain.images import Image


class UploadMethod(StrEnum):
    """By which road the files come."""

    STREAMING = "streaming"
    PRESIGNED = "presigned"


class Intent(StrEnum):
    """What is to be done with the files of a batch."""

    DESCRIBE = "describe"
    VERIFY = "verify"
    RULES = "rules"
    DOCUMENT_EXTRACTION = "document_extraction"


class SessionStatus(StrEnum):
    """Derived from the counters; the last four are final."""

    PENDING = "pending"
    UPLOADING = "uploading"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the session takes and does no more."""
        return self not in (
            SessionStatus.PENDING,
            SessionStatus.UPLOADING,
            SessionStatus.PROCESSING,
        )


class ItemState(StrEnum):
    """Where one file is; the last three are final."""

    UPLOADING = "uploading"
    CONFIRMING = "confirming"
    QUEUED = "queued"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"

    @property
    def is_final(self) -> bool:
        """Whether nothing will change any more."""
        return self in (ItemState.COMPLETED, ItemState.FAILED, ItemState.SKIPPED)


@dataclass(frozen=True, slots=True)
class Session:
    """Counters and times. ``completed + failed + skipped + pending == total`` at every moment."""

    id: UUID
    tenant_id: UUID
    upload_method: UploadMethod
    level: VerificationLevel
    total: int
    created_at: datetime
    intent: Intent = Intent.DESCRIBE
    uploading: int = 0
    completed: int = 0
    failed: int = 0
    skipped: int = 0
    started_at: datetime | None = None
    completed_at: datetime | None = None
    cancelled_at: datetime | None = None
    last_activity_at: datetime | None = None
    status: SessionStatus = SessionStatus.PROCESSING

    @property
    def done(self) -> int:
        """Files in a final state."""
        return self.completed + self.failed + self.skipped

    @property
    def pending(self) -> int:
        """Files that are not."""
        return self.total - self.done

    @property
    def progress(self) -> float:
        """Percent of the files that are in a final state, 0 to 100, two decimals.

        >>> from dataclasses import replace
        >>> Session(None, None, None, None, 20, None, completed=15, failed=1).progress
        80.0
        """
        return round(100 * self.done / self.total, 2) if self.total else 100.0


@dataclass(frozen=True, slots=True)
class Item:
    """One file: reserved, arrived or refused. ``image`` is filled in where results are listed.

    ``level`` is of files that belong to no session; those of a session share the session's.
    """

    id: UUID
    tenant_id: UUID
    session_id: UUID | None
    position: int
    filename: str
    state: ItemState
    created_at: datetime
    content_type: str | None = None
    size_bytes: int | None = None
    object_key: str | None = None
    storage_target: StorageTarget = StorageTarget.DEFAULT
    idempotency_key: str | None = None
    title: str | None = None
    tags: tuple[str, ...] = ()
    image_id: UUID | None = None
    error: str | None = None
    retryable: bool | None = None
    changed_at: datetime | None = None
    expires_at: datetime | None = None
    level: VerificationLevel | None = None
    image: Image | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """What a poll tells of a file that came to its end; ``description`` is the beginning of it.

    ``image_id`` is None for a file that has become no picture.
    """

    filename: str
    position: int
    state: ItemState
    image_id: UUID | None = None
    error: str | None = None
    retryable: bool | None = None
    description: str | None = None
    processing_ms: float | None = None


@dataclass(frozen=True, slots=True)
class ItemCounts:
    """How many files of a session are where; ``processing`` are looked at right now."""

    uploading: int = 0
    confirming: int = 0
    queued: int = 0
    processing: int = 0
    completed: int = 0
    failed: int = 0
    skipped: int = 0
