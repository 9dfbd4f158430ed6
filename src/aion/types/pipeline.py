"""Steps of ``client.pipeline()``, and what came of them."""

from dataclasses import dataclass, field
from typing import Annotated, Any

from aion.types._model import From, Model, record


@dataclass(frozen=True)
class PipelineStep:
    """A step; ``depends_on`` are positions of earlier ones, from 0."""

    agent: str
    intent: str
    params: dict[str, Any] = field(default_factory=dict)
    depends_on: tuple[int, ...] | None = None


@record
class StepResult(Model):
    """What came of a step. ``status``: ``completed``, ``failed`` or ``skipped``."""

    agent: str
    status: str
    summary: str | None = None
    outputs: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    execution_time_ms: int = 0
    node_id: str | None = None


NodeResult = StepResult


@record
class PipelineResult(Model):
    """What came of all steps, in the order in which they ran."""

    success: bool
    steps: Annotated[list[StepResult], From("nodes")] = field(default_factory=list)
    execution_time_ms: int = 0
    total_waves: int = 0
    errors: list[str] = field(default_factory=list)
    token_usage: dict[str, int | None] | None = None

    def step(self, index: int) -> StepResult:
        """The step at a position, from 0. Raises IndexError."""
        return self.steps[index]

    @property
    def final(self) -> StepResult:
        """The step that ran last. Raises IndexError if there is none."""
        return self.steps[-1]
