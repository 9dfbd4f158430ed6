"""Bodies of ``/agents``."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from ocelli.api.aion.common import Moment
from ocelli.domain.pipelines import MAX_STEPS, StepStatus

MAX_IDS = 1_000
Intent = Annotated[str, Field(min_length=1, max_length=2_000, pattern=r"^[^\x00]*$")]
NOT_KEPT = "Accepted and passed over: only pictures are kept here."


class ImageSearch(BaseModel):
    """A search in words."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"query": "red car by night", "limit": 20}]}
    )

    query: str = Field(min_length=1, max_length=2_000)
    limit: int = Field(50, ge=1, le=500)
    folder_id: UUID | None = Field(None, description="Search only what is directly in it.")
    image_ids: list[UUID] | None = Field(
        None, max_length=MAX_IDS, description="Search only these pictures."
    )
    tags: list[str] = Field([], max_length=40, description="Only pictures with all of these tags.")
    date_from: Moment | None = Field(
        None, description="When the photo was taken, or else when it came."
    )
    date_to: Moment | None = Field(None, description="A day is included as a whole.")


class ImageHit(BaseModel):
    """A picture that was found."""

    image_id: str
    score: float = Field(description="From 0 to 1, for this search only; 1: first by all measures.")
    filename: str | None
    title: str | None
    description: str = Field(description="Empty while there is none.")
    folder_id: str | None = None
    thumbnail_url: str | None
    features: list[dict[str, Any]] | None = None


class ResultRef(BaseModel):
    """What a `[[ref:KEY]]` of a text stands for."""

    count: int
    ids: list[str]
    image_ids: list[str]
    id_type: Literal["image"] = "image"
    label: str


class SearchStrategy(BaseModel):
    """How was searched. `hybrid`: by words and by meaning, put together by their ranks."""

    mode: Literal["hybrid", "words"]
    reason: str | None = Field(None, description="Why not by meaning.")


class AgentAnswer(BaseModel):
    """What all answers of `/agents` have."""

    success: bool = True
    execution_time_ms: int
    iterations: int = 1
    token_usage: dict[str, int | None] | None = None


class ImageSearchAnswer(AgentAnswer):
    """Pictures, the best first."""

    results: list[ImageHit]
    count: int = Field(description="How many were found; at most about a thousand are counted.")
    result_ids: list[str] = Field(description="The ids of all that were found.")
    summary: str
    summary_raw: str = Field(description="With `[[ref:KEY]]` where `summary` has a number.")
    result_refs: dict[str, ResultRef]
    search_strategy: SearchStrategy


class Organize(BaseModel):
    """Pictures to be sorted into folders."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"intent": "Sort into beaches, mountains and cities"}]}
    )

    intent: Intent
    image_ids: list[UUID] | None = Field(
        None,
        max_length=MAX_IDS,
        description="Default: the newest thousand that are in no folder.",
    )
    document_ids: list[UUID] | None = Field(None, max_length=MAX_IDS, description=NOT_KEPT)
    video_ids: list[UUID] | None = Field(None, max_length=MAX_IDS, description=NOT_KEPT)
    parent_folder_id: UUID | None = Field(
        None, description="Where the folders are made. Default: the root."
    )


class FolderAction(BaseModel):
    """What became of a folder."""

    action: Literal["create_and_move_files", "move_files"]
    folder_id: str | None
    folder_name: str | None
    file_count: int | None = Field(description="How many pictures were moved into it.")


class OrganizeAnswer(AgentAnswer):
    """What was done, and how to take it back."""

    summary: str = Field(description="With what could not be done, and why.")
    actions: list[FolderAction]
    folders_created: int
    files_moved: int
    plan_id: str
    undo: str = Field(description="The path that takes it back, by POST, for 30 days.")


class UndoneAnswer(BaseModel):
    """What was taken back. What was changed since is kept."""

    plan_id: str
    files_moved: int
    folders_deleted: int
    files_kept: int = Field(description="Pictures that were moved again since, or deleted.")
    folders_kept: int = Field(description="Folders that are not empty, or were deleted since.")


class Synthesize(BaseModel):
    """A report to be written."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"intent": "What happened on our trip to the coast?"}]}
    )

    intent: Intent
    image_ids: list[UUID] | None = Field(
        None,
        max_length=MAX_IDS,
        description="Default: up to fifty that `intent` describes, or else the newest.",
    )
    document_ids: list[UUID] | None = Field(None, max_length=MAX_IDS, description=NOT_KEPT)
    auto_save: bool = Field(False, description=NOT_KEPT)


class SynthesizeAnswer(AgentAnswer):
    """A report."""

    report: str = Field(description="Markdown; numbers in brackets are pictures of its list.")
    summary: str
    image_count: int
    document_count: int = 0
    saved_document_id: str | None = None


class PipelineStepIn(BaseModel):
    """A step of a pipeline."""

    agent: str = Field(
        min_length=1,
        max_length=50,
        description="`image_search`, `analysis`, `assistant`, `folder`, `cross_reference`, "
        "`analytics` or `chat`.",
    )
    intent: Intent
    depends_on: list[int] | None = Field(
        None,
        max_length=MAX_STEPS,
        description="Positions of earlier steps, from 0. Default: searches, and the step before.",
    )


class Pipeline(BaseModel):
    """Steps, each with the pictures of those that it depends on."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "steps": [
                        {"agent": "image_search", "intent": "damaged utility poles"},
                        {"agent": "assistant", "intent": "Write a summary of the damage"},
                    ]
                }
            ]
        }
    )

    steps: list[PipelineStepIn] = Field(min_length=1, max_length=MAX_STEPS)
    image_ids: list[UUID] | None = Field(
        None, max_length=MAX_IDS, description="For steps that get no pictures from others."
    )
    document_ids: list[UUID] | None = Field(None, max_length=MAX_IDS, description=NOT_KEPT)


class PipelineNode(BaseModel):
    """What came of a step."""

    node_id: str
    agent: str
    status: StepStatus
    summary: str | None
    outputs: dict[str, Any]
    error: str | None
    execution_time_ms: int


class PipelineAnswer(BaseModel):
    """What came of all steps, in the order in which they ran."""

    success: bool
    nodes: list[PipelineNode]
    execution_time_ms: int
    total_waves: int = Field(description="Steps of one wave ran at the same time.")
    errors: list[str]
    token_usage: dict[str, int | None] | None = None
