"""Between the domain and the bodies of ``/escalation-policies``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.api.aion.policies import schemas
from ocelli.domain.escalation import policy_from_json, policy_to_json

if TYPE_CHECKING:
    from ocelli.api.aion.describe.schemas import Options
    from ocelli.api.services import Services
    from ocelli.domain.accounts import ApiKey
    from ocelli.domain.analysis import Analysis
    from ocelli.domain.escalation import Policy, StepResult, StoredPolicy
    from ocelli.usecases.policies import Chosen


def to_policy(body: schemas.PolicyDocument) -> Policy:
    """Return the policy of a body. Raises ValidationFailed."""
    fields = set(schemas.PolicyDocument.model_fields)
    return policy_from_json(body.model_dump(mode="json", include=fields))


def policy(stored: StoredPolicy) -> schemas.PolicyOut:
    """Return a stored policy."""
    spent = stored.spent
    return schemas.PolicyOut(
        id=str(stored.id),
        name=stored.name or "",
        is_default=stored.is_default,
        spent=schemas.PolicySpending(
            period=stored.period,
            pictures=spent.pictures,
            escalated=spent.escalated,
            calls=spent.calls,
            credits=spent.hundredths / 100,
        ),
        created_at=stored.created_at,
        updated_at=stored.updated_at,
        **policy_to_json(stored.policy),
    )


def escalation(analysis: Analysis) -> schemas.EscalationOut | None:
    """Return what a policy did for a picture; None without one."""
    record = analysis.escalation
    if record is None:
        return None
    return schemas.EscalationOut(
        policy=record.policy,
        outcome=record.outcome,
        reasons=list(record.reasons),
        answered_by=_step(record.answered),
        first=_step(record.first),
        second=_step(record.second),
        message=record.message,
    )


async def chosen(body: Options, key: ApiKey, services: Services) -> Chosen:
    """Return how the pictures of a request are described. Raises NotFound, ValidationFailed."""
    asked = getattr(body, "escalation_policy", None)
    if isinstance(asked, schemas.PolicyDocument):
        asked = to_policy(asked)
    is_free = "verification_level" not in body.model_fields_set and not body.providers
    return await services.policies.choose(
        key.tenant.id, asked, body.verification_level, is_free=is_free
    )


def _step(result: StepResult | None) -> schemas.StepOut | None:
    if result is None:
        return None
    return schemas.StepOut(
        backend=result.backend,
        level=result.level,
        confidence=result.confidence,
        looks=result.looks,
    )
