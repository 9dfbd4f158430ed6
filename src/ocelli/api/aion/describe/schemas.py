"""Bodies of ``/describe``, ``/verify`` and ``/batch``, field by field as clients know them."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from ocelli.api.aion.common import VocabularyChoice
from ocelli.api.aion.policies.schemas import Escalating, EscalationOut
from ocelli.api.cursors import NEXT
from ocelli.api.verified import BackendError, ClaimOut, PlaceOut, TaggingOut
from ocelli.domain.analysis import Task, VerificationLevel
from ocelli.domain.batches import BatchStatus
from ocelli.domain.questions import MAX_PROMPT, MAX_STATEMENT, Role
from ocelli.usecases.batches import MAX_ITEMS

Prompt = Annotated[str, StringConstraints(max_length=MAX_PROMPT)]


def _storable(metadata: dict[str, Any]) -> dict[str, Any]:
    json.dumps(metadata, ensure_ascii=False).encode()  # half of a surrogate pair is a ValueError
    return metadata


WARNINGS = "What of the question a backend cannot follow: `ocelli-local` no prompt and no language."
TAGGING = "How `tags` were chosen, where a vocabulary was asked for."
WebhookUrl = Annotated[
    str | None,
    Field(
        max_length=8192,
        pattern=r"^https?://[^\s\x00]+$",
        description="Told by a POST at the end, without a signature: batch_id, kind, status, "
        "total_items, successful_items, failed_items, skipped_items. Repeated until it is "
        "accepted, for a day. For signed events see `/webhooks`.",
    ),
]
Metadata = Annotated[dict[str, Any], AfterValidator(_storable)]
Provider = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class ImageInput(BaseModel):
    """A picture, named in exactly one way."""

    image_url: str | None = Field(
        None, max_length=8192, description="Where to fetch it: http or https."
    )
    image_base64: str | None = Field(
        None,
        description="The file: a data URL, or base64 alone.",
        examples=["data:image/png;base64,iVBOR…"],
    )
    object_key: str | None = Field(
        None, max_length=1024, description="`object_key` of one of your files."
    )

    @model_validator(mode="after")
    def _one_way(self) -> ImageInput:
        ways = (self.image_url, self.image_base64, self.object_key)
        if sum(way is not None for way in ways) != 1:
            raise ValueError("Give exactly one of image_url, image_base64 and object_key.")
        return self


class Options(BaseModel):
    """Who is asked, and how thoroughly."""

    verification_level: VerificationLevel = VerificationLevel.STANDARD
    providers: list[Provider] | None = Field(
        None,
        max_length=20,
        description="Names of backends, in the order of their answers. Default: the server's own.",
    )
    rule_set_id: None = Field(None, description="Rule sets are not supported: leave it out.")
    rules: list[Any] | None = Field(
        None, max_length=0, description="Rules are not supported: leave them out."
    )


class Wording(VocabularyChoice):
    """How a description is worded, and what its tags are chosen from."""

    prompt: Prompt | None = Field(
        None,
        description="What to say instead of what `role` says. "
        "`ocelli-local` cannot follow one, and says so in `warnings`.",
    )
    role: Role = Role.GENERAL
    language: str = Field(
        "English",
        max_length=64,
        description="An English name or an ISO code. "
        "`ocelli-local` writes English only, and says so in `warnings`.",
    )


class DescribeRequest(ImageInput, Options, Escalating, Wording):
    """One picture to describe."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"image_url": "https://example.com/cat.jpg", "role": "alttext"},
                {"image_url": "https://example.com/cat.jpg", "vocabulary": "animals"},
            ]
        }
    )

    include_metadata: bool = True
    include_tags: bool = True


class VerifyRequest(ImageInput, Options):
    """A picture and a text about it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "image_url": "https://example.com/cat.jpg",
                    "content": "Two cats sleep on a sofa.",
                    "verification_level": "standard",
                }
            ]
        }
    )

    content: str = Field(min_length=1, max_length=MAX_STATEMENT)
    mode: Literal["response", "claim"] = Field(
        "response", description="A whole answer, sentence by sentence, or one statement."
    )
    use_consensus: bool = True


class BatchImage(ImageInput):
    """A picture of a batch; ``metadata`` comes back with its result."""

    metadata: Metadata | None = None


class _BatchOptions(Options):
    consensus_threshold: float = Field(0.7, ge=0, le=1)
    max_parallel: int = Field(5, ge=1, le=20, description="Accepted; the workers decide.")
    timeout_per_item: int = Field(30, ge=5, le=300, description="Accepted; settings decide.")
    webhook_url: WebhookUrl = None
    create_dataset: Literal[False] = False


class BatchDescribeRequest(_BatchOptions, Escalating, Wording):
    """Pictures to describe."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"images": [{"image_url": "https://example.com/cat.jpg"}]}]}
    )

    images: list[BatchImage] = Field(min_length=1, max_length=MAX_ITEMS)


class Pair(BaseModel):
    """A picture and a text about it."""

    image: BatchImage
    text: str = Field(min_length=1, max_length=MAX_STATEMENT)
    metadata: Metadata | None = None


class BatchVerifyRequest(_BatchOptions):
    """Pictures with texts to check."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "image_text_pairs": [
                        {"image": {"image_url": "https://example.com/cat.jpg"}, "text": "A cat."}
                    ]
                }
            ]
        }
    )

    image_text_pairs: list[Pair] = Field(min_length=1, max_length=MAX_ITEMS)


class FeatureItem(BaseModel):
    """One thing that was found."""

    description: str
    count: int
    confidence: float


class FeatureGroup(BaseModel):
    """Things of one kind: objects, faces, colours, text."""

    name: str
    items: list[FeatureItem]


class CallOut(BaseModel):
    """One model call; it is one credit."""

    source: str
    model_version: str
    task: Task
    prompt_tokens: int
    completion_tokens: int
    time_ms: float


class DescribeResponse(BaseModel):
    """A description, verified as far as its level says."""

    operation_id: str
    description: str
    visible_text: str | None
    tags: list[str]
    tagging: TaggingOut | None = Field(description=TAGGING)
    features: list[FeatureGroup]
    metadata: dict[str, Any] | None
    structured_output: None = None
    verification_level: VerificationLevel
    providers_used: list[str]
    consensus_score: float | None = Field(
        description="0 to 1, computed from verdicts and evidence."
    )
    confidence_score: float | None
    looks: int = Field(description="Model calls; 0 if this was answered before.")
    calls: list[CallOut]
    claims: list[ClaimOut]
    places: list[PlaceOut] = Field(description="What was found, and where.")
    errors: list[BackendError]
    escalation: EscalationOut | None = Field(description="Null without an escalation policy.")
    warnings: list[str] = Field(description=WARNINGS)
    processing_time_ms: int
    timestamp: datetime


class Issue(BaseModel):
    """A claim that the picture does not bear out."""

    type: Literal["hallucination", "inaccuracy", "unverified"]
    severity: Literal["low", "medium", "high", "critical"]
    description: str
    claim: str
    confidence: float = Field(description="That there is this issue, 0 to 1.")


class VerifyResponse(BaseModel):
    """Whether a text is true of a picture."""

    operation_id: str
    is_verified: bool = Field(description="Whether every claim holds.")
    confidence_score: float = Field(description="Mean probability of the claims, 0 to 1.")
    risk_level: Literal["low", "medium", "high", "critical"]
    risk_score: float = Field(description="1 - confidence_score.")
    hallucination_probability: float = Field(
        description="That at least the worst claim is false: 1 - its probability."
    )
    explanation: str
    claims: list[ClaimOut] = Field(description="All of the text, in its order.")
    detected_issues: list[Issue]
    verified_claims: list[ClaimOut] = Field(
        description="What holds; and, with `kept` false, of what nothing could be told."
    )
    places: list[PlaceOut] = Field(description="What was found, and where.")
    provider_results: None = None
    structured_output: None = None
    verification_level: VerificationLevel
    providers_used: list[str]
    consensus_achieved: bool = Field(description="Whether no model that looked disagrees.")
    looks: int
    calls: list[CallOut]
    errors: list[BackendError]
    processing_time_ms: int
    timestamp: datetime


class ProviderOut(BaseModel):
    """A configured backend."""

    name: str
    is_default: bool


class LevelOut(BaseModel):
    """A verification level."""

    name: VerificationLevel
    looks: int
    description: str


class ProvidersResponse(BaseModel):
    """Who can be asked, and how thoroughly."""

    providers: list[ProviderOut]
    verification_levels: list[LevelOut]


class VerifyHealth(BaseModel):
    """Whether a backend is there to answer."""

    status: Literal["healthy", "unhealthy"]


class BatchSubmitted(BaseModel):
    """An accepted job."""

    batch_id: str
    status: BatchStatus
    total_items: int
    processed_items: int
    failed_items: int
    created_at: datetime
    estimated_completion_time: datetime | None = None


class BatchStatusOut(BatchSubmitted):
    """How far a job has come."""

    successful_items: int
    success_rate: float = Field(description="Of the finished items, 0 to 1.")
    started_at: datetime | None
    completed_at: datetime | None
    progress_percentage: float
    avg_processing_time_ms: float | None


class BatchItem(BaseModel):
    """One item of a job; ``output_data`` is a DescribeResponse or a VerifyResponse."""

    item_id: str
    item_index: int
    status: Literal["pending", "processing", "success", "failed", "skipped"]
    input_data: dict[str, Any]
    output_data: dict[str, Any] | None
    error_message: str | None
    processing_time_ms: int | None
    stored_image_url: str | None = None


class Pagination(BaseModel):
    """Where this page is."""

    offset: int
    limit: int
    total: int
    has_more: bool
    next_cursor: str | None = Field(description=NEXT)


class BatchSummary(BaseModel):
    """Counts of the whole job."""

    total_items: int
    successful_items: int
    failed_items: int
    skipped_items: int
    processing_time_ms: int | None


class BatchResults(BaseModel):
    """A page of results, in the order of the request."""

    batch_id: str
    status: BatchStatus
    results: list[BatchItem]
    pagination: Pagination
    summary: BatchSummary
