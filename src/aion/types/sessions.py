"""Upload sessions: files that were sent together."""

from dataclasses import field
from datetime import datetime
from typing import Annotated, Any

from aion.types._model import From, Model, record

ENDED = frozenset({"completed", "failed", "expired", "cancelled"})


@record
class UploadSession(Model):
    """How far a session has come.

    ``status`` is ``pending``, ``uploading``, ``processing``, ``completed``, ``failed``, ``expired``
    or ``cancelled``. What is pending, or happened lately, is known of one session alone
    (``sessions.get``), not of those in a list.
    """

    session_id: str
    status: str
    upload_method: str = ""
    total_files: int = 0
    completed_files: int = 0
    failed_files: int = 0
    skipped_files: int = 0
    pending_files: int | None = None
    progress_percentage: float = 0.0
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    estimated_completion_time: datetime | None = None
    recent_completions: list[dict[str, Any]] = field(default_factory=list)
    recent_errors: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_terminal(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in ENDED


@record
class UploadSessionList(Model):
    """One page of sessions, newest first."""

    sessions: list[UploadSession] = field(default_factory=list)
    total_count: int = 0
    has_more: bool = False
    next_cursor: str | None = None


@record
class UploadSessionResult(Model):
    """One file of a session that has ended; the time in milliseconds.

    Texts are a person's, if there are any: the sources say so; ``ai_…`` are the machine's.
    """

    filename: str
    status: str
    image_id: str | None = None
    object_key: str | None = None
    description: str | None = None
    description_source: str | None = None
    ai_description: str | None = None
    visible_text: str | None = None
    tags: list[str] = field(default_factory=list)
    tags_source: str | None = None
    ai_tags: list[str] = field(default_factory=list)
    confidence_score: float | None = None
    processing_time_ms: int | None = None
    error_message: str | None = None
    error_type: str | None = None
    is_retryable: bool | None = None
    thumbnail_url: str | None = None
    created_at: datetime | None = None


@record
class UploadSessionResults(Model):
    """One page of the files of a session that have ended, in the order of the request."""

    session_id: str
    results: list[UploadSessionResult] = field(default_factory=list)
    total_count: int = 0
    has_more: bool = False
    next_cursor: str | None = None
    completed: Annotated[int, From("summary.completed")] = 0
    failed: Annotated[int, From("summary.failed")] = 0
    skipped: Annotated[int, From("summary.skipped")] = 0
