"""The rows of the output, one for each source. Their columns are those of ``schema``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ocelli.domain.usage import spend_by_backend

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ocelli.bulk.tasks import Task
    from ocelli.domain.analysis import AnalysisAnswer, Failure, VerificationLevel
    from ocelli.domain.claims import JudgedClaim, Tokens
    from ocelli.domain.findings import Color
    from ocelli.domain.ports_backends import PictureLike


NO_TASK = -1


class RowStatus(StrEnum):
    """What became of a source."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class Row:
    """One source and what became of it; the columns are described in ``docs/bulk.md``.

    ``task`` is the id of its task, and no column.
    """

    task: int
    source: str
    status: RowStatus
    key: str | None = None
    duplicate_of: str | None = None
    error_type: str | None = None
    error: str | None = None
    retryable: bool | None = None
    description: str | None = None
    tags: tuple[str, ...] = ()
    visible_text: str | None = None
    claims: tuple[dict[str, Any], ...] = ()
    confidence: float | None = None
    nsfw: float | None = None
    colors: tuple[dict[str, Any], ...] = ()
    width: int | None = None
    height: int | None = None
    bytes: int | None = None
    backend: str | None = None
    model_version: str | None = None
    level: str | None = None
    looks: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None
    seconds: float | None = None
    finished_at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a source: their SHA-256 in hexadecimal digits, and how many they are."""

    key: str
    size: int


def skipped(source: str, why: str) -> Row:
    """Return the row of a source that has no picture."""
    return Row(
        NO_TASK, source, RowStatus.SKIPPED, error_type="validation", error=why, retryable=False
    )


def duplicate(task: Task, content: Content) -> Row:
    """Return the row of bytes that another source has too; which one is not known yet."""
    return Row(
        task.id, task.source, RowStatus.DUPLICATE, key=content.key, bytes=content.size, cost_usd=0.0
    )


def failed(task: Task, failure: Failure, content: Content | None = None) -> Row:
    """Return the row of a picture that could not be described."""
    return Row(
        task.id,
        task.source,
        RowStatus.FAILED,
        key=None if content is None else content.key,
        error_type=failure.type.value,
        error=failure.message,
        retryable=failure.retryable,
        bytes=None if content is None else content.size,
    )


def done(
    task: Task,
    content: Content,
    picture: PictureLike,
    answer: AnalysisAnswer,
    level: VerificationLevel,
    colors: Sequence[Color],
    *,
    seconds: float,
    token_cost: Callable[[str, Tokens], float | None],
) -> Row:
    """Return the row of a described picture. The cost is None if a call has no known price."""
    spends = spend_by_backend(answer.calls, token_cost).values()
    first = answer.findings[0] if answer.findings else None
    safety = next((each.safety for each in answer.findings if each.safety is not None), None)
    return Row(
        task.id,
        task.source,
        RowStatus.DONE,
        key=content.key,
        description=answer.description,
        tags=answer.tags,
        visible_text=answer.visible_text,
        claims=tuple(map(_claim, answer.claims)),
        confidence=answer.confidence,
        nsfw=None if safety is None else safety.nsfw,
        colors=tuple(
            {"hex": each.hex, "name": each.name, "fraction": each.fraction} for each in colors
        ),
        width=picture.width,
        height=picture.height,
        bytes=content.size,
        backend=None if first is None else first.source,
        model_version=None if first is None else first.model_version,
        level=level.value,
        looks=answer.looks,
        prompt_tokens=sum(each.tokens.prompt for each in spends),
        completion_tokens=sum(each.tokens.completion for each in spends),
        cost_usd=None
        if any(each.unpriced for each in spends)
        else float(sum(each.dollars for each in spends)),
        seconds=seconds,
    )


def pointing_at(row: Row, first: str) -> Row:
    """Return ``row`` as a duplicate of the source ``first``; what it cost stays in it."""
    return replace(
        Row(row.task, row.source, RowStatus.DUPLICATE, key=row.key, bytes=row.bytes),
        duplicate_of=first,
        looks=row.looks,
        prompt_tokens=row.prompt_tokens,
        completion_tokens=row.completion_tokens,
        cost_usd=row.cost_usd,
        seconds=row.seconds,
    )


def _claim(judged: JudgedClaim) -> dict[str, Any]:
    return {
        "text": judged.claim.text,
        "type": judged.claim.type.value,
        "kept": judged.kept,
        "probability": judged.probability,
        "verdicts": [
            {
                "ruling": each.ruling.value,
                "source": each.source,
                "basis": each.stand.value,
                "reason": each.reason,
            }
            for each in judged.verdicts
        ],
    }
