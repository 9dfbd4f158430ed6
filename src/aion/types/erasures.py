"""Results of ``client.erasures``."""

from dataclasses import field
from datetime import datetime

from aion.types._model import Model, record


@record
class Erasure(Model):
    """The receipt of an erasure: ids and numbers, no content.

    Without ``completed_at`` the server has not erased all of it yet, and goes on by itself.
    """

    id: str
    kind: str
    reason: str
    image_ids: list[str] = field(default_factory=list)
    requested_by: str = ""
    requested_at: datetime | None = None
    completed_at: datetime | None = None
    counts: dict[str, int] = field(default_factory=dict)


@record
class ErasureList(Model):
    """A page of receipts, the newest first."""

    erasures: list[Erasure] = field(default_factory=list)
    total_count: int = 0
    has_more: bool = False
