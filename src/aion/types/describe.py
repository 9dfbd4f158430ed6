"""What describing answers, and why it failed."""

import re
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Self

from aion.types._model import From, Model, record
from aion.types.escalation import Escalation


@record
class DescriptionStatus(Model):
    """How far one description has come (``uploads.wait_for_description``).

    Description and tags are a person's, if there are any: the sources say so.

    Not the enum of the same name in ``aion.types.common``: ``status`` holds one of its values.
    """

    image_id: Annotated[str, From("image_id", "id")]
    status: Annotated[str, From("description_status", "status")]
    description: Annotated[str | None, From("upload_description", "description")] = None
    tags: Annotated[list[str] | None, From("tags", "ai_tags", "full_descriptions.-1.tags")] = None
    description_source: str | None = None
    tags_source: str | None = None
    visible_text: str | None = None
    confidence_score: Annotated[
        float | None, From("confidence_score", "full_descriptions.-1.confidence_score")
    ] = None
    error_message: str | None = None
    created_at: datetime | None = None
    completed_at: Annotated[datetime | None, From("completed_at", "description_generated_at")] = (
        None
    )

    @property
    def is_complete(self) -> bool:
        """Whether it has ended, well or badly."""
        return self.status in ("completed", "failed", "skipped")

    @property
    def is_successful(self) -> bool:
        """Whether there is a description."""
        return self.status == "completed"


@record
class JudgedTag(Model):
    """A tag of a description, chosen for ``word``, which ``source`` said.

    ``match``, ``name`` and ``score`` are those of ``ChosenTag``. ``probability`` that it fits,
    from 0 to 1, comes from ``verdicts``; one that is not ``kept`` was contradicted.
    """

    tag: str
    match: str = ""
    word: str = ""
    name: str | None = None
    score: float = 0.0
    source: str = ""
    kept: bool = True
    probability: float = 0.0
    verdicts: list[dict[str, Any]] = field(default_factory=list)


@record
class Tagging(Model):
    """How the tags of a description were chosen; ``digest`` is that of the terms."""

    vocabulary: str
    digest: str = ""
    mode: str = "strict"
    tags: list[JudgedTag] = field(default_factory=list)


@record
class Claim(Model):
    """One statement of a description or text, and what became of it.

    ``probability`` that it is true, from 0 to 1, comes from ``verdicts`` (``source``, ``ruling``,
    ``reason``, ``kind``). ``boxes`` are where what it is about was found: left, top, right, bottom,
    as shares of the upright picture's width and height.
    """

    text: str
    type: str = "other"
    kept: bool = True
    probability: float = 0.0
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    boxes: list[list[float]] = field(default_factory=list)


@record
class Place(Model):
    """Something that was found: an ``object``, a ``text`` line or a ``face``.

    ``box`` is left, top, right, bottom, as shares of the upright picture's width and height.
    """

    kind: str
    name: str
    score: float = 0.0
    box: list[float] = field(default_factory=list)


@record
class DescriptionResult(Model):
    """One description, made on request; the time in milliseconds.

    ``warnings`` say what of the question a backend cannot follow, ``tagging`` how tags were chosen
    from a vocabulary, ``escalation`` what an escalation policy did. ``claims`` are its statements,
    each with verdicts, also those that were dropped; ``places`` what was found, with its box.
    """

    operation_id: str
    description: str
    confidence_score: Annotated[float | None, From("confidence_score", "consensus_score")] = None
    key_elements: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    visible_text: str | None = None
    provider_count: int = 1
    processing_time_ms: int = 0
    metadata: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    tagging: Tagging | None = None
    escalation: Escalation | None = None
    claims: list[Claim] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)


class DescriptionErrorType(StrEnum):
    """Why a description failed."""

    TIMEOUT = "timeout"
    RATE_LIMIT = "rate_limit"
    VLM_ERROR = "vlm_error"
    VALIDATION_ERROR = "validation"
    VALIDATION = "validation"  # an alias
    RESOURCE_LIMIT = "resource_limit"
    UNKNOWN = "unknown"

    @property
    def is_retryable(self) -> bool:
        """Whether asking again can help."""
        return self in (self.TIMEOUT, self.RATE_LIMIT, self.VLM_ERROR)


# For servers that send only a text; ours sends the type. The first pattern that is found decides.
_PATTERNS = (
    (DescriptionErrorType.RATE_LIMIT, r"\b429\b|rate.?limit|too many requests"),
    (DescriptionErrorType.TIMEOUT, r"time.?out|timed out|deadline|\b504\b"),
    (
        DescriptionErrorType.RESOURCE_LIMIT,
        r"resource|memory|quota|too (large|big|many pixels)|limit exceeded",
    ),
    (
        DescriptionErrorType.VALIDATION_ERROR,
        r"validation|invalid|unsupported|corrupt|truncated|not an image|cannot be (read|decoded)",
    ),
    (
        DescriptionErrorType.VLM_ERROR,
        r"\bvlm\b|\bmodel\b|provider|backend|unavailable|overloaded|internal.*error|\b50[0-3]\b",
    ),
)


@record
class DescriptionFailure(Model):
    """One description that failed, with what can be done about it."""

    image_id: str
    error_message: str
    error_type: DescriptionErrorType
    is_retryable: bool
    filename: str | None = None
    raw_error: str | None = None

    @staticmethod
    def classify_error(error_msg: str | None) -> tuple[DescriptionErrorType, bool]:
        """The kind of an error text, and whether asking again can help.

        >>> DescriptionFailure.classify_error("The model timed out after 30 s")
        (<DescriptionErrorType.TIMEOUT: 'timeout'>, True)
        >>> DescriptionFailure.classify_error("Unsupported image")
        (<DescriptionErrorType.VALIDATION_ERROR: 'validation'>, False)
        """
        for kind, pattern in _PATTERNS:
            if re.search(pattern, error_msg or "", re.IGNORECASE):
                return kind, kind.is_retryable
        return DescriptionErrorType.UNKNOWN, False

    @classmethod
    def from_error_message(cls, image_id: str, error_msg: str, filename: str | None = None) -> Self:
        """A failure whose kind is read from its text."""
        kind, retryable = cls.classify_error(error_msg)
        return cls(image_id, error_msg, kind, retryable, filename, error_msg)
