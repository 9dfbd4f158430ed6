"""Every description so far, and exports of them."""

from dataclasses import field
from datetime import datetime
from typing import Annotated, Any

from aion.types._model import From, Model, record


@record
class DescriptionRecord(Model):
    """One description; ``source_type`` is ``single`` or ``batch``.

    ``description`` is a person's, if there is one: ``description_source`` says so.
    ``ai_description`` is what the machine said this time.
    """

    id: str
    image_id: str
    description: str | None = None
    description_source: str | None = None
    ai_description: str | None = None
    confidence_score: float | None = None
    created_at: datetime | None = None
    source_type: str = ""
    source_id: str | None = None
    image_url: str | None = None
    thumbnail_url: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@record
class DescriptionHistory(Model):
    """One page of descriptions, newest first, with ``statistics`` of all that match."""

    results: list[DescriptionRecord] = field(default_factory=list)
    total_count: int = 0
    statistics: dict[str, Any] = field(default_factory=dict)
    has_more: Annotated[bool, From("page_info.has_next")] = False
    next_cursor: Annotated[str | None, From("page_info.next_cursor")] = None


@record
class ExportStatus(Model):
    """How far an export has come: ``queued``, ``processing``, ``completed`` or ``failed``."""

    export_id: str
    status: str
    format: str = ""
    download_url: str | None = None
    record_count: int | None = None
    created_at: datetime | None = None
    completed_at: datetime | None = None
    error_message: str | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in ("completed", "failed")
