"""Bodies of sessions, field by field as clients know them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from ocelli.api.cursors import NEXT
from ocelli.domain.effective import Source
from ocelli.domain.upload_sessions import SessionStatus, UploadMethod


class SessionSummary(BaseModel):
    """A row of the list."""

    session_id: str
    status: SessionStatus
    upload_method: UploadMethod
    total_files: int
    completed_files: int
    failed_files: int
    skipped_files: int
    progress_percentage: float = Field(
        ge=0, le=100, description="(completed + failed + skipped) / total × 100."
    )
    created_at: datetime
    completed_at: datetime | None


class SessionList(BaseModel):
    """One page, newest first."""

    sessions: list[SessionSummary]
    total_count: int
    offset: int
    limit: int
    has_more: bool
    next_cursor: str | None = Field(description=NEXT)


class RecentCompletion(BaseModel):
    """A file that came to its end lately."""

    filename: str
    image_id: str | None
    status: str
    description: str | None = Field(description="The first 100 characters.")
    processing_time_ms: int | None
    error_message: str | None


class RecentError(BaseModel):
    """A file that failed lately."""

    filename: str
    index: int
    error: str
    retryable: bool


class SessionDetails(SessionSummary):
    """How far a session has come."""

    pending_files: int
    started_at: datetime | None
    estimated_completion_time: datetime | None
    recent_completions: list[RecentCompletion]
    recent_errors: list[RecentError]
    results_url: str
    websocket_channel: str = Field(
        description="A name only; live progress is at `/uploads/sessions/{id}/events`."
    )


class SessionResult(BaseModel):
    """One finished file."""

    image_id: str | None
    filename: str
    object_key: str | None
    status: Literal["completed", "failed", "skipped"]
    description: str | None = Field(description="A person's, if there is one.")
    description_source: Source | None
    ai_description: str | None
    visible_text: str | None
    tags: list[str]
    tags_source: Source | None
    ai_tags: list[str]
    confidence_score: float | None
    processing_time_ms: int | None
    error_message: str | None
    error_type: str | None
    is_retryable: bool | None
    thumbnail_url: str | None
    created_at: datetime


class ResultsSummary(BaseModel):
    """The counters."""

    total_files: int
    completed: int
    failed: int
    skipped: int


class SessionResults(BaseModel):
    """One page of finished files, in the order of the request."""

    session_id: str
    results: list[SessionResult]
    total_count: int
    offset: int
    limit: int
    has_more: bool
    next_cursor: str | None = Field(description=NEXT)
    summary: ResultsSummary
