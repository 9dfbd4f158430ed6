"""Results of ``client.agent_search``."""

from dataclasses import field
from typing import Any

from aion.types._model import Model, record
from aion.types.file_collection import FileCollection, FileRef
from aion.types.references import ResultRefData


@record
class ImageSearchResultItem(Model):
    """A picture that was found; ``score`` from 0 to 1 is comparable within one search only."""

    image_id: str
    score: float
    filename: str | None = None
    title: str | None = None
    description: str | None = None
    folder_id: str | None = None
    thumbnail_url: str | None = None
    features: list[dict[str, Any]] | None = None


@record
class ImageSearchAgentResult(Model):
    """Pictures that were found, the best first.

    ``results`` are the first ones of ``count``, ``result_ids`` the ids of all. ``summary_raw`` has
    ``[[ref:KEY]]`` in the place of numbers; ``result_refs`` tells what they stand for.
    """

    success: bool = True
    results: list[ImageSearchResultItem] = field(default_factory=list)
    count: int = 0
    result_ids: list[str] = field(default_factory=list)
    summary: str = ""
    summary_raw: str = ""
    result_refs: dict[str, ResultRefData] = field(default_factory=dict)
    execution_time_ms: int = 0
    iterations: int = 0
    search_strategy: dict[str, Any] | None = None
    token_usage: dict[str, Any] | None = None

    def as_collection(self) -> FileCollection:
        """Return the pictures of ``results`` as a collection."""
        return FileCollection((_ref(it) for it in self.results), "images", "search")


def _ref(item: ImageSearchResultItem) -> FileRef:
    known = {name: getattr(item, name) for name in ("score", "title", "description", "folder_id")}
    metadata = {name: value for name, value in known.items() if value is not None}
    return FileRef(item.image_id, "image/*", item.filename, metadata=metadata)
