"""Bodies of presigned uploads, field by field as clients know them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from ocelli.api.aion.common import VocabularyChoice
from ocelli.domain.analysis import VerificationLevel
from ocelli.domain.images import StorageTarget, VariantStatus
from ocelli.domain.upload_sessions import Intent
from ocelli.usecases.presigned import MAX_BATCH

SIZE = Field(gt=0, le=10**12, description="Bytes.", examples=[1048576])
FILENAME = Field(min_length=1, max_length=1024, examples=["photo.jpg"])
CONTENT_TYPE = Field(max_length=100, examples=["image/jpeg"])
IDEMPOTENCY_KEY = Field(
    None, max_length=200, description="The same key gives the same reservation again."
)
CHECKSUM = Field(None, max_length=80, description="SHA-256 of the file, hexadecimal.")
OBJECT_KEY = Field(max_length=1024, description="As the reservation said.")


class PresignedRequest(VocabularyChoice):
    """A file to come."""

    filename: str = FILENAME
    content_type: str = CONTENT_TYPE
    size_bytes: int = SIZE
    purpose: str = Field("image_analysis", max_length=100)
    idempotency_key: str | None = IDEMPOTENCY_KEY
    storage_target: StorageTarget = StorageTarget.DEFAULT
    verification_level: VerificationLevel = VerificationLevel.STANDARD


class SignedUploadFields(BaseModel):
    """Where and how to send the file: the raw bytes as the body, no Authorization header."""

    upload_url: str
    upload_method: Literal["PUT", "POST"] = "PUT"
    upload_fields: dict[str, str] | None = None
    upload_headers: dict[str, str] | None = Field(None, description="Send exactly these.")
    object_key: str
    expires_at: datetime = Field(description="Ten minutes after it was made.")


class PresignedResponse(SignedUploadFields):
    """A reservation for one file."""

    max_size_bytes: int
    storage_target: StorageTarget
    bucket_name: str | None = None
    image_id: str = Field(description="The id that the picture will have.")


class ConfirmRequest(BaseModel):
    """The file has been sent."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"object_key": "incoming/…", "size_bytes": 1048576}]}
    )

    object_key: str = OBJECT_KEY
    size_bytes: int = SIZE
    checksum: str | None = CHECKSUM
    content_type: str | None = Field(None, max_length=100)


class ConfirmResponse(BaseModel):
    """It is accepted, and its description is queued."""

    upload_id: str = Field(description="The picture's id.")
    object_key: str
    storage_path: str
    confirmed: bool = True


class InitiateResponse(SignedUploadFields):
    """A reservation for one file of the library."""

    image_id: str
    max_size_bytes: int
    thumbnail_url: str | None = None
    variant_urls: dict[str, str] | None = None


class FileConfirmRequest(BaseModel):
    """The file of the library has been sent."""

    object_key: str = OBJECT_KEY
    size_bytes: int = SIZE
    image_id: UUID
    auto_describe: bool = True
    checksum: str | None = CHECKSUM


class FileConfirmResponse(BaseModel):
    """It is accepted."""

    image_id: str
    description_status: str
    title: str | None
    tags: list[str]


class BatchFile(BaseModel):
    """One file of a batch."""

    filename: str = FILENAME
    size_bytes: int = SIZE
    content_type: str = CONTENT_TYPE
    idempotency_key: str | None = IDEMPOTENCY_KEY
    storage_target: StorageTarget = StorageTarget.DEFAULT


class BatchPrepareRequest(VocabularyChoice):
    """One to five files to come together."""

    files: list[BatchFile] = Field(min_length=1, max_length=MAX_BATCH)
    intent: Intent = Intent.DESCRIBE
    verification_level: VerificationLevel = VerificationLevel.STANDARD
    additional_params: dict[str, Any] | None = None


class RetryPolicy(BaseModel):
    """What a client may do when a PUT fails."""

    max_retries: int = 3
    backoff_seconds: float = 1.0


class UploadPlan(BaseModel):
    """How to send them."""

    strategy: Literal["parallel", "sequential"] = "parallel"
    max_concurrent: int
    retry_policy: RetryPolicy = RetryPolicy()
    timeout_per_upload: int = Field(description="Seconds.")


class BatchPresignedUrl(SignedUploadFields):
    """Where to send one of them."""

    file_index: int = Field(description="Its position in the request, from 0.")
    filename: str = Field(description="Unchanged.")
    image_id: str


class BatchPrepareResponse(BaseModel):
    """The batch, which is also a session of the same id."""

    batch_id: str
    upload_plan: UploadPlan
    presigned_urls: list[BatchPresignedUrl]
    total_size_bytes: int
    estimated_time_seconds: int


class BatchConfirmation(BaseModel):
    """What became of one file."""

    object_key: str = OBJECT_KEY
    success: bool
    file_size: int = SIZE
    checksum: str | None = CHECKSUM
    error_message: str | None = Field(None, max_length=2000)
    media_type: Literal["image", "document"] | None = None


class BatchConfirmRequest(BaseModel):
    """What became of the files; some may be missing and follow later."""

    batch_id: str = Field(max_length=64)
    confirmations: list[BatchConfirmation] = Field(min_length=1, max_length=MAX_BATCH)
    auto_process: bool = True


class StoredImage(BaseModel):
    """A file that was accepted."""

    image_id: str
    object_key: str
    filename: str
    thumbnail_url: str | None = None
    variant_status: VariantStatus | None = VariantStatus.PENDING
    created_at: datetime | None


class BatchConfirmResponse(BaseModel):
    """Which files were accepted."""

    batch_id: str
    successful_uploads: int
    failed_uploads: int
    processing_status: Literal["queued", "partial", "failed"]
    failed_files: list[str] | None
    message: str
    stored_images: list[StoredImage]


class BatchCounts(BaseModel):
    """How many files are where."""

    total: int = 0
    uploading: int = 0
    confirming: int = 0
    queued: int = 0
    processing: int = 0
    completed: int = 0
    failed: int = 0
    partially_completed: int = 0
    stuck: int = 0


class DescriptionCounts(BaseModel):
    """How many descriptions are where."""

    pending: int = 0
    processing: int = 0
    completed: int = 0
    failed: int = 0
    skipped: int = 0


class ErrorSummary(BaseModel):
    """How many files failed, and why the newest of them did."""

    count: int
    messages: list[str]


class BatchStatusResponse(BaseModel):
    """How far a batch has come; ends in `completed` or `failed`."""

    batch_id: str
    tenant_id: str
    overall_status: Literal["uploading", "queued", "processing", "completed", "failed"]
    completion_percentage: float = Field(ge=0, le=100)
    counts: BatchCounts
    description_counts: DescriptionCounts
    error_summary: ErrorSummary
    created_at: datetime
    last_activity_at: datetime | None
