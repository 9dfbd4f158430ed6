"""Bodies of ``/erasures``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from ocelli.domain.erasures import MAX_PICTURES, ErasureKind, ErasureReason


class ErasureRequest(BaseModel):
    """Pictures to be erased for good."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"image_ids": ["9b1f8f52-6c1e-4c7e-9d5a-2f0f5f5c7f10"]}]}
    )

    image_ids: Annotated[list[UUID], Field(min_length=1, max_length=MAX_PICTURES)] = Field(
        description="Whole ids, also of pictures that were deleted and are not gone yet."
    )


class ErasureOut(BaseModel):
    """The receipt of an erasure: ids and numbers, no content."""

    id: str
    kind: ErasureKind
    reason: ErasureReason
    image_ids: list[str]
    requested_by: str = Field(
        description="`key:ID`, `retention` or `operator`.",
        examples=["key:0f5f5c7f-9d5a-4c7e-9b1f-6c1e8f522f10"],
    )
    requested_at: datetime
    completed_at: datetime | None = Field(
        description="Null until all is erased: what a store does not let go of is tried again."
    )
    counts: dict[str, int] = Field(
        description="How many of what were erased. `objects_left` are in your own bucket, which "
        "denied access.",
        examples=[{"pictures": 1, "analyses": 2, "variants": 5, "edits": 1, "objects": 6}],
    )


class ErasureList(BaseModel):
    """A page of receipts, the newest first."""

    erasures: list[ErasureOut]
    total_count: int
    has_more: bool
