"""Jobs by name, and what one says about itself: for log and metrics, never words of a picture."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from ocelli.domain.analysis import ModelCall

ANALYSE = "analyse"
MAKE_VARIANTS = "make_variants"
EXTRACT_COLORS = "extract_colors"
EXPORT = "export"
CALL_WEBHOOK = "call_webhook"  # of the version before 0040: none is enqueued any more


@dataclass(slots=True)
class JobReport:
    """Filled in while the job runs. ``backends`` are those that answered or failed."""

    image_id: UUID | None = None
    status: str | None = None
    error_type: str | None = None
    level: str | None = None
    calls: Sequence[ModelCall] = ()

    @property
    def backend(self) -> str | None:
        """Whose description it is."""
        return self.calls[0].source if self.calls else None


@dataclass(frozen=True, slots=True)
class QueueState:
    """``jobs`` by task and status; ``oldest`` by task, in seconds, of those that could run now."""

    jobs: Mapping[tuple[str, str], int]
    oldest: Mapping[str, float]
    workers: int


REPORT: ContextVar[JobReport | None] = ContextVar("report", default=None)


def report(**fields: Any) -> None:
    """Set fields of the running job's JobReport; nothing where no job runs."""
    if (current := REPORT.get()) is not None:
        for name, value in fields.items():
            setattr(current, name, value)
