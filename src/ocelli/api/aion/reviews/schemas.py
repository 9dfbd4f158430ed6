"""Bodies of ``/reviews``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from ocelli.api.aion.files.schemas import ClaimState, FileSummary
from ocelli.api.cursors import NEXT
from ocelli.domain.review import DoubtReason


class ReviewItem(BaseModel):
    """A file that waits for a person."""

    file: FileSummary
    analysis_id: str = Field(description="The description to decide about.")
    doubt: float = Field(description="0 to 1, as it was when the file was described.")
    reasons: list[DoubtReason]
    claims: list[ClaimState]
    queued_at: datetime


class ReviewList(BaseModel):
    """One page of those that wait, the most doubtful first."""

    items: list[ReviewItem]
    total_count: int
    has_more: bool
    next_cursor: str | None = Field(description=NEXT)


class ReviewTarget(BaseModel):
    """A file to decide about; nothing is done if it is not as the caller saw it."""

    file_id: Annotated[str, Field(max_length=36)]
    revision: int | None = Field(None, ge=0, le=2**31 - 1)
    analysis_id: UUID | None = None


class ReviewDecision(BaseModel):
    """The files to approve, or whose descriptions to reject."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"items": [{"file_id": "9b1f8f52-3f37-4a4e-9d2f-0a7c8a3c1c55"}]}]
        }
    )

    items: list[ReviewTarget] = Field(min_length=1, max_length=100)


class ReviewDone(BaseModel):
    """A file that was decided about."""

    id: str
    revision: int
    reviewed_by: str
    reviewed_at: datetime


class ReviewFailure(BaseModel):
    """A file that was not, and why."""

    id: str
    code: str
    message: str


class ReviewOutcome(BaseModel):
    """The result for each file."""

    done: list[ReviewDone]
    failed: list[ReviewFailure]


class EvaluationLabel(BaseModel):
    """A line for `ocelli eval`."""

    file: str = Field(description="The id, and the suffix of the format.")
    tags: list[str] | None = None
    claims: dict[str, bool] | None = Field(None, description="Statements, and whether they hold.")


class LabelOut(BaseModel):
    """What people said of a picture."""

    image_id: str
    filename: str
    label: EvaluationLabel


class LabelList(BaseModel):
    """One page; it may be shorter than `limit` while others follow."""

    labels: list[LabelOut]
    has_more: bool
    next_cursor: str | None = Field(description=NEXT)
