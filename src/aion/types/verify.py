"""What verifying answers."""

from dataclasses import field
from typing import Annotated, Any

from aion.types._model import From, Model, record
from aion.types.describe import Claim, Place


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
    """Whether a text is true of a picture; scores from 0 to 1, the time in milliseconds.

    ``claims`` are all statements of the text, in its order; ``places`` what was found.
    """

    operation_id: str
    is_verified: bool
    confidence_score: float
    risk_level: str
    hallucination_probability: Annotated[float, From("hallucination_probability", "risk_score")] = (
        0.0
    )
    claims: list[Claim] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    verified_claims: list[Any] = field(default_factory=list)
    issues: Annotated[list[VerificationIssue], From("issues", "detected_issues")] = field(
        default_factory=list
    )
    summary: Annotated[str, From("summary", "explanation")] = ""
    processing_time_ms: int = 0
    providers_used: list[str] = field(default_factory=list)
