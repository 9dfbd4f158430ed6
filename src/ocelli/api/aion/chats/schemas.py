"""Bodies of ``/chat/images``."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from ocelli.usecases.library_search import MOST_FOUND


class LibrarySearchRequest(BaseModel):
    """A search in words."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"query": "dogs on a beach"}]})

    query: str = Field(min_length=1, max_length=500)
    limit: int = Field(50, ge=1, le=100)
    offset: int = Field(0, ge=0, le=2 * MOST_FOUND)


class SearchResult(BaseModel):
    """A picture that was found."""

    image_id: str
    description: str
    confidence: float = Field(description="That of the description; 0 while there is none.")
    relevance_score: float
    thumbnail_url: str | None
    medium_url: str | None
    full_url: str | None
    created_at: datetime | None


class QueryInterpretation(BaseModel):
    """How a search was understood."""

    normalized_query: str
    mode: str = Field(description="`hybrid`, or `words` where meaning cannot be searched.")


class SearchResults(BaseModel):
    """Pictures, the best first."""

    results: list[SearchResult]
    total_count: int
    query_interpretation: QueryInterpretation


class ImageIds(BaseModel):
    """Ids of pictures, the newest first."""

    image_ids: list[str]
    total_count: int
    has_more: bool
