"""Escalation policies: which pictures get a second, better description, and for how much."""

from dataclasses import field
from datetime import datetime
from typing import Any

from aion.types._model import Model, record


@record
class PolicyStep(Model):
    """Who is asked (without ``backend`` the server's default), and how thoroughly."""

    backend: str | None = None
    level: str = "quick"


@record
class PolicyTriggers(Model):
    """What makes a description doubtful; any of them is enough.

    ``kinds`` of pictures: ``text``, ``people``, ``products``.
    """

    confidence_below: float | None = None
    disputed_claims: bool = False
    kinds: list[str] = field(default_factory=list)


@record
class PolicyBudget(Model):
    """What second steps may take in a month: calls, credits, a share of the pictures."""

    calls: int | None = None
    credits: int | None = None
    share: float | None = None


@record
class PolicySpending(Model):
    """What second steps took in the month that begins with ``period``."""

    period: str = ""
    pictures: int = 0
    escalated: int = 0
    calls: int = 0
    credits: float = 0.0


@record
class EscalationPolicy(Model):
    """Describe by ``first``; again by ``second`` where that is doubtful, while the budget lasts."""

    id: str
    name: str = ""
    is_default: bool = False
    first: PolicyStep = field(default_factory=PolicyStep)
    second: PolicyStep = field(default_factory=PolicyStep)
    when: PolicyTriggers = field(default_factory=PolicyTriggers)
    budget: PolicyBudget = field(default_factory=PolicyBudget)
    spent: PolicySpending = field(default_factory=PolicySpending)
    calibration: dict[str, Any] | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


@record
class EscalationPolicyList(Model):
    """All policies of the account."""

    policies: list[EscalationPolicy] = field(default_factory=list)


@record
class EscalationStep(Model):
    """A step: who answered, or would have; ``confidence`` is None where nothing came of it."""

    backend: str | None = None
    level: str = ""
    confidence: float | None = None
    looks: int = 0


@record
class Escalation(Model):
    """What an escalation policy did for a picture.

    ``outcome``: ``escalated``, else the first step answered: ``not_needed``, ``budget_exhausted``,
    ``unavailable``, ``failed``, ``policy_deleted``. ``reasons`` say why the first answer is
    doubtful, ``message`` why the second step did not answer.
    """

    outcome: str
    policy: str | None = None
    reasons: list[str] = field(default_factory=list)
    answered_by: EscalationStep | None = None
    first: EscalationStep | None = None
    second: EscalationStep | None = None
    message: str | None = None
