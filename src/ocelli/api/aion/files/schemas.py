"""Bodies of ``/user-files``, field by field as clients know them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from ocelli.domain.analysis import Status
from ocelli.domain.images import VariantStatus


class Dimensions(BaseModel):
    """Upright pixels."""

    width: int
    height: int


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


class DeletedFile(BaseModel):
    """What was deleted, and when."""

    id: str
    deleted_at: datetime
    message: str
