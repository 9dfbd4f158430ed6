"""What a worker process is told when it is started."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractAsyncContextManager
    from typing import TypeAlias

    from ocelli.bulk.worker import PictureWorker
    from ocelli.domain.analysis import VerificationLevel
    from ocelli.domain.choosing import Mode
    from ocelli.domain.questions import Question

    Build: TypeAlias = Callable[["WorkerPlan"], AbstractAsyncContextManager[PictureWorker]]


@dataclass(frozen=True, slots=True)
class VocabularyText:
    """A vocabulary as its file has it; ``name`` is that of the file."""

    name: str
    text: str
    mode: Mode


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """``environment`` are the settings, with the keys of backends. ``at_once`` pictures are under
    way in the process.
    """

    environment: Mapping[str, str] = field(repr=False)
    question: Question
    level: VerificationLevel
    vocabulary: VocabularyText | None
    at_once: int
