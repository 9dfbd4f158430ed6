"""Bodies of ``/user-files``, field by field as clients know them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ocelli.api import cursors
from ocelli.api.aion.common import Moment
from ocelli.api.aion.describe.schemas import (
    TAGGING,
    WARNINGS,
    BatchSubmitted,
    CallOut,
    ImageInput,
    Options,
    WebhookUrl,
    Wording,
)
from ocelli.api.aion.policies.schemas import Escalating, EscalationOut
from ocelli.api.verified import BackendError, ClaimOut, PlaceOut, TaggingOut
from ocelli.domain.analysis import Status, VerificationLevel
from ocelli.domain.edits import ClaimVerdict, EditField, ReviewStatus
from ocelli.domain.effective import Source
from ocelli.domain.file_query import DescriptionState, SortBy
from ocelli.domain.images import VariantStatus
from ocelli.domain.search import SearchMode
from ocelli.domain.vocabulary import MAX_PATH
from ocelli.usecases.similar_pictures import Likeness


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not hold a NUL character")
    return text


_DESCRIPTION = "A person's description, if there is one; else the machine's: `description_source`."
_LOCATION = "Where the photo was taken, by the GPS position of its file (EXIF)."
Text = Annotated[str, AfterValidator(_without_nul)]


class MediaType(StrEnum):
    """What a file is; so far all are images."""

    IMAGE = "image"
    VIDEO = "video"
    DOCUMENT = "document"
    LINK = "link"


class SortOrder(StrEnum):
    """From the largest, or from the smallest."""

    DESC = "desc"
    ASC = "asc"


class FileSelection(BaseModel):
    """Filters of pictures; all must hold."""

    search: Text | None = Field(
        None,
        max_length=500,
        description="All words must occur, the last one may go on; English words in any form.",
        examples=['red "sports car" -toy'],
    )
    search_mode: SearchMode = Field(
        SearchMode.ALL, description="metadata: title, file name, tags and description."
    )
    tags: list[Text] = Field(
        [], max_length=40, description="All of these tags, a person's or a machine's."
    )
    media_types: list[MediaType] = Field([], max_length=10)
    folder_id: str | None = Field(
        None, max_length=100, description="Directly in this folder; no id of one matches nothing."
    )
    has_description: bool | None = None
    description_state: DescriptionState | None = Field(
        None, description="How far the newest description is; `none`: it was never asked for."
    )
    min_confidence: float | None = Field(
        None, ge=0, le=1, description="Of the description; pictures without one do not match."
    )
    max_confidence: float | None = Field(None, ge=0, le=1)
    ids: list[UUID] = Field([], max_length=500)
    date_from: Moment | None = Field(
        None, description="When the photo was taken, or else when it came."
    )
    date_to: Moment | None = Field(None, description="A day is included as a whole.")


class FileFilters(FileSelection):
    """The query of the list."""

    color: str | None = Field(
        None,
        pattern=r"^#[0-9a-fA-F]{6}$",
        description="Among the 1,000 pictures nearest to it that have it as a main colour.",
        examples=["#2f5fb3"],
    )
    sort_by: SortBy | None = Field(
        None, description="Default: relevance for a search, content_created_at otherwise."
    )
    sort_order: SortOrder = Field(SortOrder.DESC, description="The best first by relevance.")
    limit: int = Field(20, ge=1, le=100)
    offset: int = Field(0, ge=0, le=2**31)
    cursor: str | None = Field(
        None,
        max_length=cursors.LONGEST,
        pattern=cursors.PATTERN,
        description=f"{cursors.DESCRIPTION} Not by relevance.",
    )


class Dimensions(BaseModel):
    """Upright pixels."""

    width: int
    height: int


class Location(BaseModel):
    """Degrees (WGS 84); north and east are positive."""

    latitude: float
    longitude: float


class Words(BaseModel):
    """Whose words a file has, and a person's decision about them."""

    title_source: Source | None
    description_source: Source | None = Field(
        description="person; accepted: a machine's, approved by a person; corrected: a machine's, "
        "with a person's verdicts on claims carried out; machine."
    )
    tags_source: Source | None
    ai_description: str | None = Field(description="What the machine says now.")
    alt_text: str | None
    alt_text_source: Source | None
    review_status: ReviewStatus
    reviewed_by: str | None = Field(description="The name of the key.")
    reviewed_at: datetime | None
    revision: int = Field(description="Counts the changes by people; 0: none so far.")


class OtherMedia(BaseModel):
    """What clients expect of videos, documents and links. Null, as all files are images."""

    video_metadata: None = None
    video_analysis_status: None = None
    video_analysis_job_id: None = None
    scene_count: None = None
    has_audio_transcript: None = None
    video_url: None = None
    document_type: None = None
    page_count: None = None
    text_extraction_status: None = None
    chunk_count: None = None
    document_url: None = None
    source_url: None = None
    domain: None = None
    og_metadata: None = None
    favicon_url: None = None
    crawl_status: None = None
    extracted_images: None = None
    extracted_images_count: None = None


class FileSummary(OtherMedia, Words):
    """A row of the list."""

    id: str
    object_key: str
    title: str | None
    filename: str
    thumbnail_url: str | None = Field(description="Signed, good for an hour, needs no key.")
    upload_description: str | None = Field(description=_DESCRIPTION)
    visible_text: str | None
    tags: list[str] = Field(description="The person's tags; the machine's while there are none.")
    ai_tags: list[str] = Field(description="The machine's tags, best first.")
    size_bytes: int
    created_at: datetime
    content_created_at: datetime | None = Field(description="When the photo was taken (EXIF).")
    content_location: Location | None = Field(description=_LOCATION)
    has_full_description: bool
    dimensions: Dimensions
    format: str
    variant_status: VariantStatus
    variant_error: str | None
    variant_count: int
    medium_url: str | None
    full_url: str | None
    blur_hash: str | None
    description_status: Status = Field(description="Of the newest one, that may be under way.")
    description_error: str | None
    confidence_score: float | None = Field(description="0 to 1, computed from the evidence.")
    verification_level: VerificationLevel | None = Field(description="Of the description shown.")
    content_type: str
    media_type: str = "image"


class SimilarTo(ImageInput):
    """A picture that others are compared with. It is not kept."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"image_url": "https://example.com/cat.jpg", "limit": 5}]}
    )

    limit: int = Field(20, ge=1, le=100)


class SimilarFile(FileSummary):
    """A file that is like another picture."""

    similarity: float = Field(description="A cosine: 1 for the same, about 0 for no likeness.")


class SimilarFiles(BaseModel):
    """The most similar first."""

    files: list[SimilarFile]
    compared_by: Likeness | None = Field(
        description="looks: the pictures themselves; description: what is said of them; null while "
        "nothing is known that could be compared."
    )


class FileList(BaseModel):
    """One page."""

    files: list[FileSummary]
    total_count: int
    has_more: bool
    next_cursor: str | None = Field(description=f"{cursors.NEXT} And by relevance.")


class ProviderDescription(BaseModel):
    """One backend's own answer, after verification."""

    source: str
    model_version: str
    description: str | None
    tags: list[str]
    confidence_score: float | None


class FullDescription(BaseModel):
    """One finished analysis."""

    id: str
    description: str
    visible_text: str | None
    confidence_score: float | None = Field(description="0 to 1, computed from the evidence.")
    processing_time_ms: int | None
    created_at: datetime
    tags: list[str]
    source: str = Field(description="What really answered.")
    model_version: str
    verification_level: str
    looks: int = Field(description="Model calls that it took; 0 if it was answered before.")
    provenance: dict[str, str] = Field(description="Whose words each field holds.")
    providers: list[ProviderDescription] = Field(description="What each backend said, in order.")
    claims: list[ClaimOut] = Field(
        description="Every statement that was made, also those that did not survive."
    )
    places: list[PlaceOut] = Field(description="What was found, and where.")
    tagging: TaggingOut | None = Field(description=TAGGING)
    calls: list[CallOut] = Field(description="The model calls, one credit each.")
    errors: list[BackendError] = Field(description="Backends that did not answer.")
    escalation: EscalationOut | None = Field(description="Null without an escalation policy.")
    warnings: list[str] = Field(description=WARNINGS)


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


class Authorship(BaseModel):
    """Who said something, and when."""

    author: str
    created_at: datetime


class ClaimState(BaseModel):
    """A statement about the picture, and what a person says about it."""

    claim: str = Field(description="As it was made.")
    text: str = Field(description="As it holds: corrected, or the same.")
    kept: bool = Field(description="It counts as true.")
    in_description: bool = Field(description="False: the newest description does not make it.")
    probability: float | None = Field(description="That it is true; null for a person's own.")
    verdict: ClaimVerdict | None = Field(description="A person's.")
    author: str | None
    reviewed_at: datetime | None


class FileDetails(OtherMedia, Words):
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
    upload_description: str | None = Field(description=_DESCRIPTION)
    visible_text: str | None
    rejected_tags: list[str] = Field(description="Tags of machines that a person rejected.")
    claims: list[ClaimState] = Field(
        description="Of the newest description, then those that only people make or judge."
    )
    authorship: dict[EditField, Authorship] = Field(
        description="Of every field that a person has set."
    )
    description_generated_at: datetime | None
    full_descriptions: list[FullDescription]
    created_at: datetime
    updated_at: datetime
    content_created_at: datetime | None
    content_location: Location | None = Field(description=_LOCATION)
    upload_method: str
    original_filename: str
    hash: str = Field(description="SHA-256 of the original bytes, hexadecimal.")
    processing_history: list[ProcessingStep]
    blur_hash: str | None
    description_status: Status
    verification_level: VerificationLevel | None = Field(description="Of the description shown.")
    media_type: str = "image"
    page_title: None = None
    crawl_error: None = None
    crawled_at: None = None


class DeletedFile(BaseModel):
    """What was deleted, and when."""

    id: str
    deleted_at: datetime
    message: str


class ClaimEdit(BaseModel):
    """A person's verdict on a claim."""

    claim: str = Field(
        description="Word for word, but for case and space. Up to 10,000 characters."
    )
    verdict: ClaimVerdict | None = Field(
        None, description="`added`: a claim of one's own. Null takes a verdict back."
    )
    text: str | None = Field(None, description="What a `corrected` claim should say.")


class FileUpdate(BaseModel):
    """What a person says about a file; what machines say is kept apart and never in its place."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"title": "Breakfast", "tags": ["coffee", "morning"]},
                {
                    "description": "Two cups of coffee beside a newspaper.",
                    "claims": [
                        {
                            "claim": "There are three cups.",
                            "verdict": "corrected",
                            "text": "There are two cups.",
                        }
                    ],
                    "review": "approved",
                    "revision": 1,
                },
            ]
        }
    )

    title: str | None = Field(None, description="Up to 255 characters.")
    tags: list[str] | None = Field(
        None,
        description="Up to 40, of up to 50 characters; paths of vocabularies "
        f"(`animal/dog`) of up to {MAX_PATH}.",
    )
    description: str | None = Field(None, description="Up to 10,000 characters, kept as text.")
    alt_text: str | None = Field(None, description="Up to 10,000 characters, kept as text.")
    rejected_tags: list[str] | None = Field(
        None, description="Tags of machines not to show or find. Up to 40."
    )
    claims: list[ClaimEdit] | None = Field(None, description="Up to 500; others stay as they are.")
    review: ReviewStatus | None = Field(
        None, description="A decision about the newest description; `pending` takes it back."
    )
    revision: int | None = Field(
        None,
        ge=0,
        le=2**31 - 1,
        description="The `revision` that this change is made upon. If it is not the present one, "
        "nothing is changed: 409, and `details.changes` tells the changes since.",
    )


class UpdatedFile(BaseModel):
    """What a person says about a file now."""

    id: str
    title: str | None
    tags: list[str]
    description: str | None
    alt_text: str | None
    rejected_tags: list[str]
    claims: list[ClaimState] = Field(description="Those that a person has judged.")
    review_status: ReviewStatus
    reviewed_by: str | None
    reviewed_at: datetime | None
    revision: int
    updated_at: datetime


class EditOut(BaseModel):
    """One change of one field."""

    id: str
    revision: int = Field(description="Changes that were made together have the same.")
    field: EditField
    claim: str | None = Field(description="The claim, where `field` is `claim`.")
    value: Any = Field(description="Null: the word was taken back.")
    previous: Any
    author: str
    created_at: datetime
    undoes: str | None = Field(description="The change that this one undid.")


class EditList(BaseModel):
    """One page of the changes, newest first."""

    edits: list[EditOut]
    has_more: bool
    next_cursor: str | None = Field(description=cursors.NEXT)


class BatchDelete(BaseModel):
    """Which files to delete."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"file_ids": ["9b1f8f52-3f37-4a4e-9d2f-0a7c8a3c1c55"]}]}
    )

    file_ids: list[Annotated[str, Field(max_length=36)]] = Field(min_length=1, max_length=100)


class DeletionResult(BaseModel):
    """What became of one file."""

    id: str
    status: Literal["deleted", "skipped", "failed"]
    message: str | None
    deleted_at: datetime | None


class DeletionSummary(BaseModel):
    """How many."""

    total: int
    deleted: int
    skipped: int
    failed: int


class BatchDeleted(BaseModel):
    """What became of each."""

    deleted: list[DeletionResult]
    skipped: list[DeletionResult]
    failed: list[DeletionResult]
    summary: DeletionSummary


class RedescribeRequest(Options, Escalating, Wording):
    """How to describe a picture again."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"verification_level": "critical"},
                {"vocabulary": "animals", "vocabulary_mode": "strict"},
            ]
        }
    )


class RedescribeMatchingRequest(FileSelection, Options, Escalating, Wording):
    """Which pictures to describe again, by the filters of the list, and how.

    Without a filter: all. Unknown fields are refused, as a misspelt filter would select all.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"tags": ["holiday"], "verification_level": "critical"},
                {"tags": ["holiday"], "vocabulary": "animals"},
            ],
        },
    )

    webhook_url: WebhookUrl = None


class RedescriptionSubmitted(BatchSubmitted):
    """The batch in which pictures are described again."""

    verification_level: VerificationLevel
    already_queued: int = Field(
        description="Pictures that waited for the same description already; not in the batch."
    )
    image_id: str | None = Field(None, description="Of a single picture.")


class VariantsTriggered(BaseModel):
    """Whether smaller copies will be made."""

    success: bool = True
    message: str
    task_id: str | None = Field(description="Names the work; there is one per picture at a time.")
    current_status: VariantStatus
    image_id: str
    skipped_duplicate: bool = Field(description="They are being made already.")
