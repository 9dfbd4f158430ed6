"""Bodies of ``/data``, field by field as clients know them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ocelli.api.aion.common import Moment
from ocelli.api.cursors import NEXT
from ocelli.domain.effective import Source
from ocelli.domain.history import MOST_EXPORTED, ExportFormat, ExportStatus, SourceType


class DescriptionRecord(BaseModel):
    """One description."""

    id: str
    type: Literal["description"] = "description"
    source_type: SourceType
    source_id: str = Field(description="The session, or the picture if it came alone.")
    created_at: datetime
    image_id: str
    image_url: str | None = Field(description="The original. Signed, good for an hour.")
    stored_image_url: str | None = Field(description="The same.")
    thumbnail_url: str | None
    description: str | None = Field(description="A person's, if there is one.")
    description_source: Source | None
    ai_description: str | None = Field(description="What the machine said this time.")
    confidence_score: float | None
    metadata: dict[str, Any]


class DayCount(BaseModel):
    """How many on one day (UTC)."""

    date: date
    count: int


class Statistics(BaseModel):
    """Of all that match, not of the page alone."""

    total_count: int
    average_confidence: float | None
    confidence_distribution: dict[str, int] = Field(
        examples=[{"0.0-0.2": 0, "0.2-0.4": 1, "0.4-0.6": 12, "0.6-0.8": 80, "0.8-1.0": 7}]
    )
    daily_counts: list[DayCount]
    source_distribution: dict[SourceType, int]


class FiltersApplied(BaseModel):
    """Which filters were used."""

    date_range_applied: bool
    confidence_range_applied: bool
    search_applied: bool
    source_types_filtered: bool
    filter_summary: str


class PageInfo(BaseModel):
    """Where the page is among all."""

    offset: int
    limit: int
    has_next: bool
    has_previous: bool
    total_pages: int
    current_page: int
    next_cursor: str | None = Field(description=NEXT)


class DescriptionHistory(BaseModel):
    """One page, newest first."""

    results: list[DescriptionRecord]
    total_count: int
    statistics: Statistics
    filters_applied: FiltersApplied
    page_info: PageInfo


class ExportRequest(BaseModel):
    """What to export."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"data_type": "descriptions", "format": "csv", "min_confidence": 0.5}]
        }
    )

    data_type: Literal["descriptions"]
    format: ExportFormat
    start_date: Moment | None = None
    end_date: Moment | None = Field(None, description="A day is included as a whole.")
    min_confidence: float | None = Field(None, ge=0, le=1)
    max_confidence: float | None = Field(None, ge=0, le=1)
    search_terms: list[str] = Field([], max_length=20, description="All must occur.")
    source_types: list[SourceType] = []
    include_metadata: bool = Field(True, description="File name, title, size and the like.")
    include_failed: bool = Field(False, description="Also pictures that could not be described.")
    fields: list[str] = Field([], max_length=50, description="Only these, in this order.")
    limit: int = Field(MOST_EXPORTED, ge=1, le=MOST_EXPORTED)

    @model_validator(mode="after")
    def _terms_can_be_stored(self) -> ExportRequest:
        if any("\0" in term or len(term) > 200 for term in self.search_terms):
            raise ValueError("search terms have at most 200 characters and no NUL")
        return self


class ExportState(BaseModel):
    """How far an export has come. The file is kept for seven days."""

    export_id: str
    status: ExportStatus
    download_url: str | None = Field(description="Signed, good for an hour, needs no key.")
    record_count: int | None
    format: ExportFormat
    created_at: datetime
    completed_at: datetime | None
    estimated_completion_time: datetime | None = None
    error_message: str | None


class VariantLink(BaseModel):
    """One size of a picture."""

    type: str
    url: str | None
    width: int
    height: int
    size_bytes: int


class VariantLinks(BaseModel):
    """All sizes of a picture."""

    image_id: str
    variant_status: str
    variants: list[VariantLink]
