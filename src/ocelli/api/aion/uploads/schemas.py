"""Bodies of uploads and of ``/uploads``, field by field as clients know them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

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
