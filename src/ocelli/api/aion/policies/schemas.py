"""Bodies of ``/escalation-policies``, and the record of a policy in other bodies."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from ocelli.domain.analysis import VerificationLevel
from ocelli.domain.escalation import (
    LARGEST_BUDGET,
    MAX_NAME,
    NAME_PATTERN,
    OFF,
    EscalationOutcome,
    EscalationReason,
    Kind,
)

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Amount = Annotated[int, Field(ge=0, le=LARGEST_BUDGET)]
Knots = Annotated[list[tuple[Share, Share]], Field(max_length=1_000)]

_EXAMPLE: dict[str, Any] = {
    "first": {"backend": "ocelli-local", "level": "quick"},
    "second": {"backend": "ocelli-local", "level": "critical"},
    "when": {"confidence_below": 0.7, "disputed_claims": True, "kinds": ["people"]},
    "budget": {"calls": 1000, "share": 0.2},
}


class PolicyStep(BaseModel):
    """Who is asked, and how thoroughly."""

    model_config = ConfigDict(extra="forbid")

    backend: str | None = Field(
        None, min_length=1, max_length=MAX_NAME, description="Default: the server's own."
    )
    level: VerificationLevel = VerificationLevel.QUICK


class PolicyTriggers(BaseModel):
    """What makes a description doubtful; any of them is enough, and one must be given."""

    model_config = ConfigDict(extra="forbid")

    confidence_below: Share | None = Field(
        None, description="0: never; 1: always, but for a confidence of 1."
    )
    disputed_claims: bool = Field(
        False, description="A claim that was contradicted, or not found where it should be."
    )
    kinds: list[Kind] = Field(
        [],
        max_length=len(Kind),
        description="`text`: 20 words or a tenth of the picture. `people`: a face or a person. "
        "`products`: a brand, the role `ecommerce`, or a thing for sale on a quarter of it.",
    )


class PolicyBudget(BaseModel):
    """What second steps may take in a calendar month (UTC), or for one request.

    At least one limit must be given; `share: 1` is every doubtful picture.
    """

    model_config = ConfigDict(extra="forbid")

    calls: Amount | None = Field(None, description="Model calls.")
    credits: Amount | None = Field(None, description="One is a cent, by the price list.")
    share: Share | None = Field(
        None, description="Of the pictures that were described by the policy so far."
    )


class PolicyCalibrationBody(BaseModel):
    """What `ocelli eval --policy` found: pairs of computed and observed probability."""

    model_config = ConfigDict(extra="forbid")

    first: Knots = []
    second: Knots = []


class PolicyDocument(BaseModel):
    """Describe by `first`; again by `second` where that is doubtful, while the budget lasts."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    first: PolicyStep = PolicyStep()
    second: PolicyStep
    when: PolicyTriggers
    budget: PolicyBudget
    calibration: PolicyCalibrationBody | None = Field(
        None, description="Of claims' final probabilities, by the step that answered."
    )


class StorePolicy(PolicyDocument):
    """A policy, and its name."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "careful", "is_default": False, **_EXAMPLE}]},
    )

    name: str = Field(pattern=NAME_PATTERN, max_length=MAX_NAME)
    is_default: bool = Field(
        False,
        description="Whether it counts for every picture that is uploaded or described without "
        "level, backends and policy.",
    )


class PolicySpending(BaseModel):
    """What second steps took in this month."""

    period: date = Field(description="The first day of the month.")
    pictures: int = Field(description="Described by the policy.")
    escalated: int = Field(description="Of them, looked at again.")
    calls: int
    credits: float


class PolicyOut(PolicyDocument):
    """A policy, and what it spent."""

    model_config = ConfigDict(extra="ignore")

    id: str
    name: str
    is_default: bool
    spent: PolicySpending
    created_at: datetime
    updated_at: datetime


class PolicyList(BaseModel):
    """All policies, by name."""

    policies: list[PolicyOut]


class StepOut(BaseModel):
    """A step: who answered, or would have."""

    backend: str | None
    level: VerificationLevel
    confidence: float | None = Field(description="Null where nothing came of it.")
    looks: int = Field(description="Model calls; 0 if it was answered before.")


class EscalationOut(BaseModel):
    """What an escalation policy did for a picture."""

    policy: str | None = Field(description="Its name; null if the request brought it.")
    outcome: EscalationOutcome = Field(
        description="`escalated`: the second step answered. Otherwise the first one did: "
        "`not_needed`, `budget_exhausted`, `unavailable` (the second backend is not there), "
        "`failed` (it did not answer), `policy_deleted` (while the picture waited)."
    )
    reasons: list[EscalationReason] = Field(description="Why the first answer is doubtful.")
    answered_by: StepOut | None
    first: StepOut | None
    second: StepOut | None = Field(description="Null where it was not needed.")
    message: str | None = Field(description="Why the second step did not answer.")


AskedPolicy = Annotated[
    str | PolicyDocument | None,
    Field(
        description="The name or id of an escalation policy, one for this request alone, or "
        f"`{OFF}`. It says level and backends itself. Default: the tenant's default policy, if "
        "neither level nor backends are given.",
        examples=["careful"],
    ),
]


class Escalating(BaseModel):
    """What may be described again where it is doubtful."""

    escalation_policy: AskedPolicy = None
