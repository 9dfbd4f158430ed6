"""Bodies of ``/api/v2``, field by field as its clients know them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ocelli.domain.analysis import Status
from ocelli.domain.images import StorageTarget, VariantStatus

UNIFIED = Literal[
    "uploading",
    "confirming",
    "queued",
    "processing",
    "completed",
    "failed",
    "partially_completed",
]


class Dimensions(BaseModel):
    """Upright pixels."""

    width: int
    height: int


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
                    "processing_time_ms": 12.5,
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
    processing_time_ms: float = Field(description="Milliseconds that storing it took.")
    s3_upload_completed: bool = True
    variants_queued: bool
    description_queued: bool
    skipped: bool = Field(False, description="The tenant has these bytes already; nothing stored.")
    skipped_existing_image_id: str | None = None
    storage_target: StorageTarget
    media_type: str | None = "image"
    document_type: str | None = None
    text_extraction_status: str | None = None


class FileSummary(BaseModel):
    """A row of the list."""

    id: str
    title: str | None
    filename: str
    thumbnail_url: str | None = Field(description="Signed, good for an hour, needs no key.")
    upload_description: str | None = Field(description="What the machine says.")
    visible_text: str | None
    tags: list[str] = Field(description="The person's tags; the machine's while there are none.")
    ai_tags: list[str] = Field(description="The machine's tags, best first.")
    size_bytes: int
    created_at: datetime
    content_created_at: datetime | None = Field(description="When the photo was taken (EXIF).")
    has_full_description: bool
    dimensions: Dimensions
    format: str
    variant_status: VariantStatus
    variant_error: str | None
    variant_count: int
    medium_url: str | None
    full_url: str | None
    blur_hash: str | None
    description_status: Status
    description_error: str | None
    confidence_score: float | None = Field(description="0 to 1, computed from the evidence.")
    content_type: str
    media_type: str = "image"


class FileList(BaseModel):
    """One page."""

    files: list[FileSummary]
    total_count: int
    has_more: bool


class FullDescription(BaseModel):
    """One finished analysis."""

    id: str
    description: str
    visible_text: str | None
    confidence_score: float | None = Field(description="0 to 1, computed from the evidence.")
    processing_time_ms: float | None
    created_at: datetime
    tags: list[str]
    source: str = Field(description="What really answered.")
    model_version: str
    verification_level: str
    looks: int = Field(description="Model calls that it took.")


class ProcessingStep(BaseModel):
    """One thing that was done with the file."""

    id: str
    status: str
    created_at: datetime
    completed_at: datetime | None
    error_message: str | None
    error_type: str | None = None
    is_retryable: bool | None = None
    operation_type: Literal["describe", "variants"]


class FileDetails(BaseModel):
    """Everything about one file."""

    id: str
    object_key: str
    title: str | None
    tags: list[str]
    ai_tags: list[str]
    size_bytes: int
    content_type: str
    dimensions: Dimensions
    format: str
    full_url: str | None
    thumbnail_url: str | None
    medium_url: str | None
    original_url: str | None
    variant_status: VariantStatus
    variant_count: int
    upload_description: str | None
    visible_text: str | None
    description_generated_at: datetime | None
    full_descriptions: list[FullDescription]
    created_at: datetime
    updated_at: datetime
    content_created_at: datetime | None
    upload_method: str
    original_filename: str
    hash: str = Field(description="SHA-256 of the original bytes, hexadecimal.")
    processing_history: list[ProcessingStep]
    blur_hash: str | None
    description_status: Status
    media_type: str = "image"


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


class DeletedFile(BaseModel):
    """What was deleted, and when."""

    id: str
    deleted_at: datetime
    message: str
