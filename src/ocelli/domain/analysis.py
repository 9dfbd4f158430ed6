"""One analysis: a picture, what is asked about it, and how far the answer has come."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

# These are needed at run time: rows are read by the annotations of Answer.
from ocelli.domain.claims import JudgedClaim, Tokens
from ocelli.domain.errors import (
    FailureType,
    ImageProcessingFailed,
    InvalidImageUrl,
    NotInTime,
    OcelliError,
    ValidationFailed,
)
from ocelli.domain.findings import Findings  # noqa: TC001
from ocelli.domain.images import StorageTarget
from ocelli.domain.questions import Question
from ocelli.domain.tagging import Tagging  # noqa: TC001

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from ocelli.domain.escalation import Escalation

# Seconds; of those about pictures of no library, and of the requests that they answer.
ANSWERS_KEPT_FOR = 24 * 3600.0


class VerificationLevel(StrEnum):
    """How many model calls a description gets."""

    QUICK = "quick"
    STANDARD = "standard"
    THOROUGH = "thorough"
    CRITICAL = "critical"

    @property
    def looks(self) -> int:
        """Model calls per picture; each is one credit."""
        return {
            VerificationLevel.QUICK: 1,
            VerificationLevel.STANDARD: 2,
            VerificationLevel.THOROUGH: 2,
            VerificationLevel.CRITICAL: 3,
        }[self]


class Status(StrEnum):
    """The states of an analysis; the last three are final, and each analysis reaches one."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"

    @property
    def is_final(self) -> bool:
        """Whether the analysis has ended."""
        return self in FINAL


FINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.SKIPPED})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an analysis failed, and whether asking again can help."""

    type: FailureType
    message: str
    retryable: bool

    @property
    def is_of_picture(self) -> bool:
        """Whether the picture, or where it was to come from, is at fault, and not who looked."""
        return self.type is FailureType.VALIDATION


@dataclass(frozen=True, slots=True)
class BackendFailure:
    """A backend that did not answer, while others did."""

    source: str
    type: FailureType
    message: str
    retryable: bool


class Task(StrEnum):
    """The purpose of a model call."""

    DESCRIBE = "describe"
    CHECK = "check"
    JUDGE = "judge"
    TAG = "tag"


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One model call that was answered; it is one credit. Time in milliseconds."""

    source: str
    model_version: str
    task: Task
    tokens: Tokens = Tokens()
    milliseconds: float = 0.0


@dataclass(frozen=True, slots=True)
class AnalysisAnswer:
    """The answer to a question, with the ``findings`` of each backend, in the question's order.

    ``description``, ``visible_text``, ``tags`` and ``confidence`` (0 to 1) are the answer as a
    whole, after verification; ``claims`` are all that were made, each with its verdicts. With
    ``tagging`` the tags were chosen from a vocabulary.
    ``calls`` are the model calls that it took.
    """

    findings: tuple[Findings, ...]
    calls: tuple[ModelCall, ...] = ()
    description: str | None = None
    visible_text: str | None = None
    tags: tuple[str, ...] = ()
    confidence: float | None = None
    claims: tuple[JudgedClaim, ...] = ()
    errors: tuple[BackendFailure, ...] = ()
    tagging: Tagging | None = None

    @property
    def looks(self) -> int:
        """The number of calls, which is the number of credits."""
        return len(self.calls)


@dataclass(frozen=True, slots=True)
class Analysis:
    """One question about one picture, with its answer once there is one.

    The picture lies in a store as ``object_key``; where that is empty it is still to be fetched
    from ``source_url``. ``request_id``, ``position`` and ``name`` place it among the pictures of
    one request that asked about several. ``width`` and ``height`` are those of the upright
    picture, once it has been opened. ``escalation`` says what became of its policy. ``key_id`` is
    the key that asked, if one did.
    """

    id: UUID
    tenant_id: UUID
    image_id: UUID | None
    object_key: str
    level: VerificationLevel
    status: Status
    created_at: datetime
    storage_target: StorageTarget = StorageTarget.DEFAULT
    started_at: datetime | None = None
    completed_at: datetime | None = None
    attempts: int = 0
    looks: int = 0
    findings: tuple[Findings, ...] = ()
    description: str | None = None
    visible_text: str | None = None
    tags: tuple[str, ...] = ()
    confidence: float | None = None
    failure: Failure | None = None
    processing_ms: float | None = None
    question: Question = Question()
    claims: tuple[JudgedClaim, ...] = ()
    errors: tuple[BackendFailure, ...] = ()
    calls: tuple[ModelCall, ...] = ()
    source_url: str | None = None
    request_id: UUID | None = None
    position: int = 0
    name: str | None = None
    width: int | None = None
    height: int | None = None
    tagging: Tagging | None = None
    policy_id: UUID | None = None
    key_id: UUID | None = None
    escalation: Escalation | None = None

    @property
    def answered_level(self) -> VerificationLevel:
        """The level of the answer: that of the policy's second step, where that answered."""
        answered = self.escalation and self.escalation.answered
        return answered.level if answered else self.level


def error_of(analysis: Analysis) -> OcelliError | None:
    """Return the error for a client that waits for the analysis; None if it is completed."""
    if not analysis.status.is_final:
        return NotInTime("There is no answer yet. Ask the same again in a few seconds.")
    failure = analysis.failure
    if failure is None:
        return None
    if not failure.is_of_picture:
        return ImageProcessingFailed(
            failure.message, type=failure.type, retryable=failure.retryable
        )
    if analysis.source_url is not None:
        return InvalidImageUrl(failure.message)
    return ValidationFailed(failure.message, field="image")


def failure_by(error: OcelliError) -> Failure:
    """Return the failure of an analysis whose picture was rejected before it began.

    Raises the error if it may pass: then the whole request is refused, and can be sent again.
    """
    if error.retryable:
        raise error
    return Failure(FailureType.VALIDATION, error.message, retryable=False)
