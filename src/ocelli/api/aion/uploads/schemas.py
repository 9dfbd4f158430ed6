"""Bodies of uploads and of ``/uploads``, field by field as clients know them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ocelli.domain.images import StorageTarget

UNIFIED = Literal[
    "uploading",
    "confirming",
    "queued",
    "processing",
    "completed",
    "failed",
    "partially_completed",
]


class StreamUploadResponse(BaseModel):
    """The file is stored, and whatever was asked for is queued: nothing can get lost any more."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "image_id": "9b1f8f52-3f37-4a4e-9d2f-0a7c8a3c1c55",
                    "object_key": "uploads/5f0c.../9b1f.../cat.jpg",
                    "upload_method": "STREAMING",
                    "status": "processing",
                    "processing_time_ms": 12,
                    "s3_upload_completed": True,
                    "variants_queued": True,
                    "description_queued": True,
                    "skipped": False,
                    "skipped_existing_image_id": None,
                    "storage_target": "default",
                    "media_type": "image",
                    "document_type": None,
                    "text_extraction_status": None,
                }
            ]
        }
    )

    image_id: str
    object_key: str
    upload_method: Literal["STREAMING"] = "STREAMING"
    status: Literal["completed", "processing", "skipped"]
    processing_time_ms: int = Field(description="Milliseconds that storing it took.")
    s3_upload_completed: bool = True
    variants_queued: bool
    description_queued: bool
    skipped: bool = Field(False, description="The tenant has these bytes already; nothing stored.")
    skipped_existing_image_id: str | None = None
    storage_target: StorageTarget
    media_type: str | None = "image"
    document_type: str | None = None
    text_extraction_status: str | None = None


class ImmediateResult(BaseModel):
    """What became of one file of a small request."""

    image_id: str | None
    filename: str
    object_key: str | None
    status: Literal["completed", "processing", "failed", "skipped"]
    processing_time_ms: int | None = None
    skipped: bool = False
    skipped_existing_image_id: str | None = None
    error: str | None = None
    storage_target: StorageTarget
    media_type: str | None = "image"
    document_type: str | None = None
    text_extraction_status: str | None = None


class Rejection(BaseModel):
    """A file that was not accepted, and why."""

    filename: str
    index: int
    reason: str
    retryable: bool


class BatchUploadResponse(BaseModel):
    """What was accepted is durable and queued; one bad file does not spoil the others."""

    session_id: str
    total_files: int
    accepted_files: int
    rejected_files: int
    status: Literal["processing", "partial", "rejected", "completed"]
    immediate_results: list[ImmediateResult] | None = Field(
        description="For requests of up to five files."
    )
    status_url: str
    websocket_channel: str = Field(description="A name only; see `/uploads/sessions/{id}/events`.")
    rejections: list[Rejection] | None


class DuplicatesRequest(BaseModel):
    """SHA-256 sums of files that a client is about to send."""

    hashes: list[Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")]] = Field(
        min_length=1, max_length=500
    )


class DuplicatesResponse(BaseModel):
    """Which of them the tenant has already."""

    duplicates: list[str]
    unique: list[str]
    existing: dict[str, str] = Field(description="From hash to the id of the picture.")


class QuotaResponse(BaseModel):
    """Whether so many files can be uploaded now."""

    can_proceed: bool
    requested: int
    available: int = Field(description="What is left this month.")
    monthly_limit: int
    current_usage: int
    prepaid_credits: int = 0
    max_batch_size: int = Field(description="Most files of one streaming request.")
    max_concurrent_uploads: int
    message: str | None


class ComponentStatuses(BaseModel):
    """What the unified status is made of."""

    upload_status: str = "completed"
    variant_status: str | None
    description_status: str | None
    upload_intent_status: str | None = None
    task_intent_status: str | None = None


class UploadStatus(BaseModel):
    """How far one upload has come."""

    image_id: str
    tenant_id: str
    batch_id: str | None
    unified_status: UNIFIED
    component_statuses: ComponentStatuses
    task_intent_ids: list[str] = []
    error_message: str | None
    error_type: str | None = Field(
        description="timeout, rate_limit, vlm_error, validation, resource_limit or unknown."
    )
    is_retryable: bool | None
    last_error_at: datetime | None
    created_at: datetime
    last_updated_at: datetime
    completed_at: datetime | None
    retry_count: int
    processing_duration_seconds: float | None
    is_stuck: bool
    is_terminal: bool


class StuckUploads(BaseModel):
    """Uploads that have not moved for a while."""

    stuck_count: int
    images: list[UploadStatus]
