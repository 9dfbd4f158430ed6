"""Bodies about limits and use, field by field as clients know them."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel, Field

from ocelli.domain.analysis import VerificationLevel


class UsageCheckRequest(BaseModel):
    """What a client is about to ask for."""

    item_count: int = Field(1, ge=1, le=1_000_000)
    verification_level: VerificationLevel = VerificationLevel.STANDARD


class UsageCheck(BaseModel):
    """Whether it may."""

    can_proceed: bool
    current_usage: int
    monthly_limit: int
    required_credits: int = Field(description="Looks per picture × pictures.")
    available_credits: int
    reset_date: date
    message: str | None
    prepaid_credits: int = 0
    overage_credits: int = 0
    overage_cost: float = 0.0


class Period(BaseModel):
    """Both days included."""

    start: datetime
    end: datetime


class UsageCounts(BaseModel):
    """What was delivered in the period."""

    describe_count: int
    verify_count: int
    batch_count: int
    total_requests: int
    successful_requests: int
    failed_requests: int


class Performance(BaseModel):
    """How long it took."""

    avg_response_time_ms: float


class UsageLimits(BaseModel):
    """The month's descriptions."""

    monthly_limit: int
    used_this_month: int
    remaining: int
    percentage_used: float


class Plan(BaseModel):
    """The tier."""

    name: str
    requests_limit: int
    requests_used: int
    requests_remaining: int
    usage_percentage: float
    renewal_date: date


class UsageSummary(BaseModel):
    """What was used in a period, and what is left of the month."""

    period: Period
    usage: UsageCounts
    performance: Performance
    limits: UsageLimits
    plan: Plan
    total_credits: int


class UsageBreakdown(BaseModel):
    """Where this month's credits went."""

    current_month: str = Field(examples=["2026-11"])
    total_credits_used: int
    monthly_limit: int
    remaining_credits: int
    usage_percentage: float
    reset_date: date
    by_verification_level: dict[VerificationLevel, int]
    by_operation_type: dict[str, int]
    recent_operations: list[dict[str, str]] = []


class TenantLimits(BaseModel):
    """The tier's limits, what is used of them, what remains."""

    limits: dict[str, int]
    usage: dict[str, int]
    remaining: dict[str, int]
    subscription_tier: str
