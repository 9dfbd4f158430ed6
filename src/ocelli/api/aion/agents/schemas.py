"""Bodies of ``/agents``."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from ocelli.api.aion.common import Moment

MAX_IDS = 1_000


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
