"""The library of pictures. Sizes are in bytes."""

from dataclasses import field
from datetime import datetime
from typing import Any

from aion.types._model import Model, record
from aion.types.describe import Place, Tagging
from aion.types.escalation import Escalation


@record
class ClaimState(Model):
    """A statement about a picture; ``verdict`` is a person's: ``accepted``, ``corrected``,
    ``rejected``, ``added`` or None.

    ``claim`` is as it was made, ``text`` as it holds. ``in_description`` is False for one that the
    newest description does not make.
    """

    claim: str
    text: str = ""
    kept: bool = True
    in_description: bool = True
    probability: float | None = None
    verdict: str | None = None
    author: str | None = None
    reviewed_at: datetime | None = None


@record
class FileLocation(Model):
    """Where a photo was taken, in degrees (WGS 84); north and east are positive."""

    latitude: float
    longitude: float


@record
class UserFile(Model):
    """One row of the library.

    Texts are a person's, if there are any: ``…_source`` says so (``person``, ``accepted``,
    ``corrected`` or ``machine``); ``ai_…`` are the machine's.
    """

    id: str
    size_bytes: int = 0
    has_full_description: bool = False
    title: str | None = None
    filename: str | None = None
    thumbnail_url: str | None = None
    upload_description: str | None = None
    visible_text: str | None = None
    tags: list[str] = field(default_factory=list)
    created_at: datetime | None = None
    content_created_at: datetime | None = None
    dimensions: dict[str, int] | None = None
    format: str | None = None
    variant_status: str | None = None
    variant_count: int | None = None
    medium_url: str | None = None
    full_url: str | None = None
    blur_hash: str | None = None
    description_status: str | None = None
    description_error: str | None = None
    content_type: str | None = None
    media_type: str | None = None
    video_metadata: dict[str, Any] | None = None
    video_analysis_status: str | None = None
    video_analysis_job_id: str | None = None
    scene_count: int | None = None
    has_audio_transcript: bool | None = None
    video_url: str | None = None
    confidence_score: float | None = None
    variant_error: str | None = None
    ai_tags: list[str] = field(default_factory=list)
    verification_level: str | None = None
    title_source: str | None = None
    description_source: str | None = None
    tags_source: str | None = None
    ai_description: str | None = None
    alt_text: str | None = None
    alt_text_source: str | None = None
    review_status: str | None = None
    reviewed_by: str | None = None
    reviewed_at: datetime | None = None
    revision: int = 0
    content_location: FileLocation | None = None


@record
class FileList(Model):
    """One page of the library."""

    files: list[UserFile] = field(default_factory=list)
    total_count: int = 0
    has_more: bool = False
    next_cursor: str | None = None


@record
class SimilarFile(UserFile):
    """A picture that is like another one; ``similarity`` 1.0 is the same, about 0.0 no likeness."""

    similarity: float = 0.0


@record
class SimilarFiles(Model):
    """Pictures that are like another one, the most similar first.

    ``compared_by`` is ``looks`` (the pictures themselves), ``description`` (what is said of them),
    or None while nothing is known that could be compared.
    """

    files: list[SimilarFile] = field(default_factory=list)
    compared_by: str | None = None


@record
class FullDescription(Model):
    """One description of a picture; the time in milliseconds.

    ``tagging``: how its tags were chosen from a vocabulary.
    """

    id: str
    description: str | None = None
    visible_text: str | None = None
    confidence_score: float | None = None
    processing_time_ms: int | None = None
    created_at: datetime | None = None
    tags: list[str] = field(default_factory=list)
    source: str | None = None
    verification_level: str | None = None
    claims: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    tagging: Tagging | None = None
    escalation: Escalation | None = None
    places: list[Place] = field(default_factory=list)


@record
class ProcessingHistory(Model):
    """One thing that was done with a picture."""

    id: str
    status: str
    created_at: datetime | None = None
    completed_at: datetime | None = None
    error_message: str | None = None
    operation_type: str | None = None


@record
class UserFileDetails(Model):
    """Everything about one picture; whose words its texts are is as in :class:`UserFile`.

    The fields from ``video_analysis_status`` on are of videos, documents and links, which other
    servers keep.
    """

    id: str
    object_key: str
    size_bytes: int = 0
    content_type: str = ""
    hash: str = ""
    title: str | None = None
    tags: list[str] = field(default_factory=list)
    media_type: str | None = None
    dimensions: dict[str, int] | None = None
    format: str | None = None
    full_url: str | None = None
    thumbnail_url: str | None = None
    medium_url: str | None = None
    original_url: str | None = None
    upload_description: str | None = None
    visible_text: str | None = None
    description_generated_at: datetime | None = None
    full_descriptions: list[FullDescription] = field(default_factory=list)
    processing_history: list[ProcessingHistory] = field(default_factory=list)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    content_created_at: datetime | None = None
    upload_method: str | None = None
    original_filename: str | None = None
    variant_status: str | None = None
    variant_count: int | None = None
    blur_hash: str | None = None
    description_status: str | None = None
    video_metadata: dict[str, Any] | None = None
    video_url: str | None = None
    document_type: str | None = None
    text_extraction_status: str | None = None
    source_url: str | None = None
    ai_tags: list[str] = field(default_factory=list)
    verification_level: str | None = None
    title_source: str | None = None
    description_source: str | None = None
    tags_source: str | None = None
    ai_description: str | None = None
    alt_text: str | None = None
    alt_text_source: str | None = None
    review_status: str | None = None
    reviewed_by: str | None = None
    reviewed_at: datetime | None = None
    revision: int = 0
    content_location: FileLocation | None = None
    rejected_tags: list[str] = field(default_factory=list)
    claims: list[ClaimState] = field(default_factory=list)
    authorship: dict[str, Any] = field(default_factory=dict)
    video_analysis_status: str | None = None
    video_analysis_job_id: str | None = None
    scene_count: int | None = None
    has_audio_transcript: bool | None = None
    page_count: int | None = None
    chunk_count: int | None = None
    document_url: str | None = None
    domain: str | None = None
    og_metadata: dict[str, Any] | None = None
    favicon_url: str | None = None
    page_title: str | None = None
    crawl_status: str | None = None
    crawl_error: str | None = None
    crawled_at: datetime | None = None
    extracted_images: list[dict[str, Any]] | None = None
    extracted_images_count: int | None = None


@record
class RedescribeResult(Model):
    """Pictures that are described again, as the batch ``batch_id``.

    ``already_queued`` others waited for the same description before. ``image_id`` is that of a
    single picture.
    """

    batch_id: str
    status: str = "pending"
    total_items: int = 0
    already_queued: int = 0
    verification_level: str | None = None
    image_id: str | None = None


@record
class UpdateFileResult(Model):
    """What people say of a picture now."""

    id: str
    title: str | None = None
    tags: list[str] = field(default_factory=list)
    updated_at: datetime | None = None
    description: str | None = None
    alt_text: str | None = None
    rejected_tags: list[str] = field(default_factory=list)
    claims: list[ClaimState] = field(default_factory=list)
    review_status: str | None = None
    reviewed_by: str | None = None
    reviewed_at: datetime | None = None
    revision: int = 0


@record
class DeleteFileResult(Model):
    """A deleted picture (it can be recovered for 30 days)."""

    id: str
    deleted_at: datetime | None = None
    message: str = ""


@record
class BatchDeleteFileResult(Model):
    """What became of one picture that was to be deleted."""

    id: str
    status: str = ""
    message: str | None = None
    deleted_at: datetime | None = None


@record
class BatchDeleteFilesResponse(Model):
    """What became of several pictures that were to be deleted."""

    deleted: list[BatchDeleteFileResult] = field(default_factory=list)
    skipped: list[BatchDeleteFileResult] = field(default_factory=list)
    failed: list[BatchDeleteFileResult] = field(default_factory=list)
    summary: dict[str, int] = field(default_factory=dict)
