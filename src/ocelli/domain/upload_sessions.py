"""Upload sessions: files that are uploaded together, and the state of each."""

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
    from ocelli.domain.tagging import TagVocabulary


class UploadMethod(StrEnum):
    """How files are uploaded: through the API, or to a presigned URL of a store."""

    STREAMING = "streaming"
    PRESIGNED = "presigned"


class Intent(StrEnum):
    """What is done with the files of a session."""

    DESCRIBE = "describe"
    VERIFY = "verify"
    RULES = "rules"
    DOCUMENT_EXTRACTION = "document_extraction"


class SessionStatus(StrEnum):
    """The state of a session, derived from its counters; the last four are final."""

    PENDING = "pending"
    UPLOADING = "uploading"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the session has ended."""
        return self not in (
            SessionStatus.PENDING,
            SessionStatus.UPLOADING,
            SessionStatus.PROCESSING,
        )


class ItemState(StrEnum):
    """The state of one file; the last three are final."""

    UPLOADING = "uploading"
    CONFIRMING = "confirming"
    QUEUED = "queued"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"

    @property
    def is_final(self) -> bool:
        """Whether the file has reached its last state."""
        return self in (ItemState.COMPLETED, ItemState.FAILED, ItemState.SKIPPED)


@dataclass(frozen=True, slots=True)
class Session:
    """A session with its counters: ``completed + failed + skipped + pending == total``, always."""

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
        """Files in another state."""
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
    """One file of a session: reserved, received or rejected.

    ``image`` is set where results are listed. ``level`` is the one that the request named, if any;
    a file of a session that has none has the session's.
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
    vocabulary: TagVocabulary | None = None
    image: Image | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """A file that has reached its last state, for polls; ``description`` is an excerpt.

    ``image_id`` is None for a file that was not stored as a picture.
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
    """The numbers of files by state; ``processing`` are those being analysed."""

    uploading: int = 0
    confirming: int = 0
    queued: int = 0
    processing: int = 0
    completed: int = 0
    failed: int = 0
    skipped: int = 0
