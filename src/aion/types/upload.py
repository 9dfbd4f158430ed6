"""What uploads answer."""

from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import datetime
from typing import Annotated, Any, Self

from aion.exceptions import DescriptionError
from aion.types._model import From, Model, record
from aion.types.common import DescriptionStatus


@record
class UploadResult(Model):
    """One uploaded picture, with its description once there is one.

    Attributes:
        image_id: identifies the picture; empty if the file could not be uploaded at all.
        filename: the original file name.
        object_key: where the picture is stored.
        description: what is on the picture: a person's words, if there are any.
        tags: short words for it: those of a person, if there are any.
        visible_text: text that can be read on it.
        confidence_score: how sure the description is, 0 to 1.
        description_status: how far the description has come.
        thumbnail_url: address of a small version.
        created_at: when the server stored it.
        description_error: why it failed, for people.
        description_error_type: why it failed, a value of ``DescriptionErrorType``.
        description_is_retryable: whether asking again can help.
        description_source: whose words the description is, e.g. ``person`` or ``machine``.
        tags_source: whose the tags are.
        verification_level: how thoroughly the description was checked, if the server says it.
        redescribed: whether the server had the picture, and this call had it described again.
    """

    image_id: Annotated[str, From("skipped_existing_image_id", "image_id", "id")]
    filename: Annotated[str, From("filename", "original_filename", "title")]
    object_key: str
    description: Annotated[str | None, From("upload_description", "description")] = None
    tags: Annotated[list[str] | None, From("tags", "ai_tags", "full_descriptions.-1.tags")] = None
    visible_text: str | None = None
    confidence_score: Annotated[
        float | None, From("confidence_score", "full_descriptions.-1.confidence_score")
    ] = None
    description_status: Annotated[DescriptionStatus, From("description_status", "status")] = (
        DescriptionStatus.PENDING
    )
    thumbnail_url: str | None = None
    created_at: datetime | None = None
    description_error: Annotated[
        str | None, From("description_error", "error_message", "error")
    ] = None
    description_error_type: Annotated[str | None, From("description_error_type", "error_type")] = (
        None
    )
    description_is_retryable: Annotated[
        bool | None, From("description_is_retryable", "is_retryable")
    ] = None
    description_source: str | None = None
    tags_source: str | None = None
    verification_level: str | None = None
    redescribed: bool | None = None

    @property
    def is_failed(self) -> bool:
        """Whether there is no description, and none will come."""
        return self.description_status is DescriptionStatus.FAILED

    @property
    def is_completed(self) -> bool:
        """Whether the description is there."""
        return self.description_status is DescriptionStatus.COMPLETED

    @property
    def is_pending(self) -> bool:
        """Whether the description is still to come: pending, queued or processing."""
        return not self.description_status.is_final


class BatchUploadResults(list[UploadResult]):
    """The results of one call, in the order of its files: a list with questions.

    Everything counts **descriptions**: without waiting for them, all are pending.

    >>> from aion import UploadResult
    >>> ok = UploadResult("1", "a.jpg", "k", description_status=DescriptionStatus.COMPLETED)
    >>> bad = UploadResult("2", "b.jpg", "k", description_status=DescriptionStatus.FAILED,
    ...                    description_is_retryable=True)
    >>> results = BatchUploadResults([ok, ok, ok, bad])
    >>> results.summary()
    '3 succeeded, 1 failed (1 retryable)'
    >>> results.has_failures, [r.image_id for r in results.retryable()]
    (True, ['2'])
    """

    @classmethod
    def from_api_response(cls, data: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> Self:
        """From the ``results`` of a session, or from a list of results."""
        items = data.get("results", []) if isinstance(data, Mapping) else data
        return cls(UploadResult.from_api_response(item) for item in items)

    def failed(self) -> list[UploadResult]:
        """Those that failed."""
        return [r for r in self if r.is_failed]

    def succeeded(self) -> list[UploadResult]:
        """Those with a description."""
        return [r for r in self if r.is_completed]

    def pending(self) -> list[UploadResult]:
        """Those whose description is still to come."""
        return [r for r in self if r.is_pending]

    def retryable(self) -> list[UploadResult]:
        """Those that failed and may succeed if asked for again."""
        return [r for r in self if r.is_failed and r.description_is_retryable]

    @property
    def has_failures(self) -> bool:
        """Whether any failed."""
        return any(r.is_failed for r in self)

    @property
    def failed_count(self) -> int:
        """How many failed."""
        return len(self.failed())

    @property
    def succeeded_count(self) -> int:
        """How many have a description."""
        return len(self.succeeded())

    @property
    def pending_count(self) -> int:
        """How many are still to come."""
        return len(self.pending())

    def raise_on_failures(self) -> Self:
        """Return these results, or raise if any failed.

        Raises:
            DescriptionError: about the first failure; the message counts them all.
        """
        if failed := self.failed():
            first = failed[0]
            raise DescriptionError(
                f"{len(failed)} of {len(self)} failed, first {first.filename}: "
                f"{first.description_error or 'no reason given'}",
                image_id=first.image_id,
                status=first.description_status.value,
                partial_results=self,
            )
        return self

    def summary(self) -> str:
        """The counts in words: ``3 succeeded, 1 failed (1 retryable)``."""
        parts = [f"{self.succeeded_count} succeeded"]
        if failed := self.failed_count:
            parts.append(f"{failed} failed ({len(self.retryable())} retryable)")
        if pending := self.pending_count:
            parts.append(f"{pending} pending")
        if skipped := sum(r.description_status is DescriptionStatus.SKIPPED for r in self):
            parts.append(f"{skipped} skipped")
        return ", ".join(parts)


@record
class QuotaInfo(Model):
    """Whether so many files may be uploaded now, and the limits of the plan (counts of files)."""

    can_proceed: bool
    requested: int = 0
    available: int = 0
    monthly_limit: int = 0
    current_usage: int = 0
    message: str | None = None
    max_batch_size: int | None = None
    prepaid_credits: int = 0
    max_concurrent_uploads: int | None = None


@record
class PresignedUrlInfo(Model):
    """Where and how to send one file's bytes, without a key; sizes in bytes."""

    upload_url: str
    upload_method: str = "PUT"
    upload_headers: dict[str, str] = field(default_factory=dict)
    object_key: str = ""
    image_id: str | None = None
    expires_at: datetime | None = None
    max_size_bytes: int | None = None
    upload_fields: dict[str, Any] | None = None
    storage_target: str | None = None
    bucket_name: str | None = None


@record
class ConfirmResult(Model):
    """A confirmed upload; ``upload_id`` is the picture's id."""

    upload_id: str
    object_key: str
    storage_path: str = ""
    confirmed: bool = True


@record
class FileInfo(Model):
    """One file that will be uploaded in a presigned batch; its size in bytes."""

    filename: str
    size_bytes: int
    content_type: str
    idempotency_key: str | None = None


@record
class UploadConfirmation(Model):
    """What became of one presigned upload; the size in bytes."""

    object_key: str
    success: bool
    file_size: int
    checksum: str | None = None
    error_message: str | None = None


@record
class BatchPresignedUrl(Model):
    """Where to send one file of a presigned batch."""

    file_index: int
    filename: str
    upload_url: str
    upload_method: str = "PUT"
    upload_headers: dict[str, str] = field(default_factory=dict)
    object_key: str = ""
    expires_at: datetime | None = None
    image_id: str | None = None
    upload_fields: dict[str, Any] | None = None


@record
class UploadPlan(Model):
    """How the server would like a presigned batch to be sent; the timeout in seconds."""

    strategy: str = "parallel"
    max_concurrent: int = 1
    timeout_per_upload: int = 300
    retry_policy: dict[str, Any] | None = None


@record
class BatchPrepareResult(Model):
    """A prepared presigned batch; the size in bytes, the time in seconds."""

    batch_id: str
    upload_plan: UploadPlan
    presigned_urls: list[BatchPresignedUrl] = field(default_factory=list)
    total_size_bytes: int = 0
    estimated_time_seconds: int = 0


@record
class StoredImage(Model):
    """One picture of a confirmed batch."""

    image_id: str
    object_key: str
    filename: str
    thumbnail_url: str | None = None
    variant_status: str | None = None
    created_at: datetime | None = None


@record
class BatchConfirmResult(Model):
    """A confirmed presigned batch."""

    batch_id: str
    successful_uploads: int = 0
    failed_uploads: int = 0
    processing_status: str = "queued"
    failed_files: list[str] = field(default_factory=list)
    message: str = ""
    stored_images: list[StoredImage] = field(default_factory=list)


TERMINAL_BATCH_STATES = frozenset({"completed", "failed", "partially_completed", "cancelled"})


@record
class UploadBatchStatusResult(Model):
    """How far a presigned batch has come."""

    batch_id: str
    overall_status: str
    completion_percentage: float = 0.0
    total: Annotated[int, From("counts.total", "total")] = 0
    completed: Annotated[int, From("counts.completed", "completed")] = 0
    failed: Annotated[int, From("counts.failed", "failed")] = 0
    processing: Annotated[int, From("counts.processing", "processing")] = 0
    queued: Annotated[int, From("counts.queued", "queued")] = 0

    @property
    def is_terminal(self) -> bool:
        """Whether nothing will change any more (a property; ``batch`` jobs have a method)."""
        return self.overall_status in TERMINAL_BATCH_STATES
