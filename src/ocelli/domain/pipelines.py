"""Pipelines: steps that hand pictures and texts on to one another. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ocelli.domain.errors import ValidationFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_STEPS = 10


class StepAgent(StrEnum):
    """What a step does."""

    IMAGE_SEARCH = "image_search"
    ANALYSIS = "analysis"
    ASSISTANT = "assistant"
    FOLDER = "folder"
    CROSS_REFERENCE = "cross_reference"
    ANALYTICS = "analytics"
    CHAT = "chat"


class StepStatus(StrEnum):
    """How far a step is; ``SKIPPED``: one that it depends on failed."""

    PENDING = "pending"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Step:
    """A step; ``depends_on`` are positions of earlier ones, in rising order."""

    agent: StepAgent
    intent: str
    depends_on: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What came of a step."""

    step: Step
    status: StepStatus
    summary: str | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    milliseconds: int = 0


def linked(asked: Sequence[tuple[str, str, Sequence[int] | None]]) -> list[Step]:
    """Return the steps (agent, intent, depends_on) of a pipeline.

    Without ``depends_on`` a search depends on nothing, and another step on all searches before it;
    if there are none, on the step before it. Raises ValidationFailed.
    """
    steps: list[Step] = []
    for position, (name, intent, given) in enumerate(asked):
        agent = _agent(name, position)
        if given is None:
            depends_on = _implied(agent, steps)
        else:
            depends_on = tuple(sorted(set(given)))
            if any(not 0 <= each < position for each in depends_on):
                raise ValidationFailed(
                    f"Step {position} can depend on earlier steps only.",
                    field=f"steps.{position}.depends_on",
                )
        steps.append(Step(agent, intent, depends_on))
    return steps


def waves(steps: Sequence[Step]) -> list[list[int]]:
    """Return positions of steps, in groups that depend on earlier groups only."""
    level: list[int] = []
    for step in steps:
        level.append(1 + max((level[each] for each in step.depends_on), default=-1))
    return [
        [position for position, each in enumerate(level) if each == wave]
        for wave in range(max(level, default=-1) + 1)
    ]


def _agent(name: str, position: int) -> StepAgent:
    try:
        return StepAgent(name)
    except ValueError:
        known = ", ".join(StepAgent)
        raise ValidationFailed(
            f"There is no agent {name[:50]!r} here, where only pictures are kept. Known: {known}.",
            field=f"steps.{position}.agent",
        ) from None


def _implied(agent: StepAgent, before: Sequence[Step]) -> tuple[int, ...]:
    if agent is StepAgent.IMAGE_SEARCH or not before:
        return ()
    searches = [n for n, each in enumerate(before) if each.agent is StepAgent.IMAGE_SEARCH]
    last = len(before) - 1
    return tuple(sorted({*searches, last}))
