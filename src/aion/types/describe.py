"""What describing and verifying answer."""

from dataclasses import field
from datetime import datetime
from typing import Annotated, Any

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
class DescriptionResult(Model):
    """One description, made on request; the time in milliseconds.

    ``warnings`` say what of the question a backend cannot follow, ``tagging`` how tags were chosen
    from a vocabulary, ``escalation`` what an escalation policy did.
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


@record
class VerificationIssue(Model):
    """Something in the text that the picture does not bear out."""

    type: str
    description: str = ""
    severity: str = "medium"
    claim: str | None = None
    confidence: float | None = None


@record
class VerificationResult(Model):
    """Whether a text is true of a picture; scores from 0 to 1, the time in milliseconds."""

    operation_id: str
    is_verified: bool
    confidence_score: float
    risk_level: str
    hallucination_probability: Annotated[float, From("hallucination_probability", "risk_score")] = (
        0.0
    )
    verified_claims: list[Any] = field(default_factory=list)
    issues: Annotated[list[VerificationIssue], From("issues", "detected_issues")] = field(
        default_factory=list
    )
    summary: Annotated[str, From("summary", "explanation")] = ""
    processing_time_ms: int = 0
    providers_used: list[str] = field(default_factory=list)
