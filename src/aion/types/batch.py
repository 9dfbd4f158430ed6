"""Batch jobs."""

from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Any

from aion.exceptions import ValidationError
from aion.types._model import Model, record


class BatchStatus(StrEnum):
    """How far a batch job has come."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PARTIALLY_COMPLETED = "partially_completed"

    @property
    def is_final(self) -> bool:
        """Whether nothing will change any more."""
        return self not in (self.PENDING, self.PROCESSING)


class BatchItemStatus(StrEnum):
    """What became of one item of a batch job."""

    PENDING = "pending"
    PROCESSING = "processing"
    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"


@record
class BatchImageInput(Model):
    """A picture for a batch job: exactly one of address, data URL and object key.

    >>> BatchImageInput(image_url="https://example.org/a.jpg").to_dict()
    {'image_url': 'https://example.org/a.jpg'}
    """

    image_url: str | None = None
    image_base64: str | None = None
    object_key: str | None = None
    metadata: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        given = [v for v in (self.image_url, self.image_base64, self.object_key) if v is not None]
        if len(given) != 1:
            raise ValidationError("give exactly one of image_url, image_base64 and object_key")


@record
class BatchVerifyInput(Model):
    """A picture and a text about it."""

    image: BatchImageInput
    content: str


@record
class BatchSubmissionResult(Model):
    """A batch job that was accepted."""

    batch_id: str
    status: str = "pending"
    total_items: int = 0
    estimated_completion_time: datetime | None = None


@record
class BatchStatusResult(Model):
    """How far a batch job has come; ``success_rate`` from 0 to 1, the time in milliseconds."""

    batch_id: str
    status: BatchStatus
    total_items: int = 0
    processed_items: int = 0
    successful_items: int = 0
    failed_items: int = 0
    success_rate: float = 0.0
    progress_percentage: float = 0.0
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    estimated_completion_time: datetime | None = None
    avg_processing_time_ms: float | None = None

    def is_terminal(self) -> bool:
        """Whether nothing will change any more (a method; presigned batches have a property)."""
        return self.status.is_final


@record
class BatchItemResult(Model):
    """One item of a batch job; the time in milliseconds."""

    item_id: str
    item_index: int
    status: BatchItemStatus
    input_data: dict[str, Any] = field(default_factory=dict)
    output_data: dict[str, Any] | None = None
    error_message: str | None = None
    processing_time_ms: int | None = None
    stored_image_url: str | None = None

    @property
    def description(self) -> str | None:
        """The description, if one was asked for and made."""
        return (self.output_data or {}).get("description")

    @property
    def confidence_score(self) -> float | None:
        """How sure the answer is, from 0 to 1."""
        output = self.output_data or {}
        return output.get("confidence_score", output.get("consensus_score"))

    @property
    def is_verified(self) -> bool | None:
        """Whether the text is true of the picture, if that was asked."""
        return (self.output_data or {}).get("is_verified")


@record
class BatchResultsPagination(Model):
    """Which part of the results this is."""

    offset: int = 0
    limit: int = 100
    total: int = 0
    has_more: bool = False
    next_cursor: str | None = None


@record
class BatchResultsSummary(Model):
    """The counts of a batch job; the time in milliseconds."""

    total_items: int = 0
    successful_items: int = 0
    failed_items: int = 0
    skipped_items: int = 0
    processing_time_ms: int | None = None


@record
class BatchResults(Model):
    """One page of a batch job's results."""

    batch_id: str
    status: BatchStatus
    results: list[BatchItemResult] = field(default_factory=list)
    pagination: BatchResultsPagination = BatchResultsPagination()
    summary: BatchResultsSummary = BatchResultsSummary()

    def successful_results(self) -> list[BatchItemResult]:
        """The items that succeeded."""
        return [r for r in self.results if r.status is BatchItemStatus.SUCCESS]

    def failed_results(self) -> list[BatchItemResult]:
        """The items that failed."""
        return [r for r in self.results if r.status is BatchItemStatus.FAILED]
