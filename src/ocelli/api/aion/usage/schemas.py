"""Bodies about limits and use, field by field as clients know them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

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
    supports_overage: bool = False
    included_credits: int = 0
    overage_credits_used: int = 0
    max_overage_credits: int = 0
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
    renewal_date: datetime


class UsageSummary(BaseModel):
    """What was used in a period, and what is left of the month."""

    period: Period
    usage: UsageCounts
    performance: Performance
    limits: UsageLimits
    plan: Plan
    total_credits: int
    supports_overage: bool = False
    included_credits: int = 0
    overage_credits_used: int = 0
    max_overage_credits: int = 0
    overage_cost: float = 0.0


class UsageBreakdown(BaseModel):
    """Where this month's credits went."""

    current_month: str = Field(examples=["2026-11"])
    total_credits_used: int
    monthly_limit: int
    remaining_credits: int
    usage_percentage: float
    reset_date: datetime
    by_verification_level: dict[VerificationLevel, int]
    by_operation_type: dict[str, int]
    recent_operations: list[dict[str, str]] = []


class TenantLimits(BaseModel):
    """The tier's limits, what is used of them, what remains."""

    limits: dict[str, int]
    usage: dict[str, int]
    remaining: dict[str, int]
    subscription_tier: str


class PeriodValue(BaseModel):
    """A day or a month."""

    timestamp: datetime = Field(description="Its beginning, in UTC.")
    value: int = Field(description="Results, delivered or failed.")
    label: str = Field(examples=["2026-11-21"])


class UsageByPeriod(BaseModel):
    """Results by day or month, with every one."""

    period_type: Literal["day", "month"]
    start_date: date
    end_date: date
    data: list[PeriodValue]


class BillingPeriod(BaseModel):
    """Whole days; the last is included."""

    start_date: date
    end_date: date
    days_remaining: int
    renewal_date: datetime


class PlanFeatures(BaseModel):
    """What the plan has."""

    batch_processing: bool = True


class PlanDetails(BaseModel):
    """The plan, and what is used of it in the period."""

    plan_name: str
    monthly_requests_limit: int
    requests_used: int
    requests_remaining: int
    usage_percentage: float
    features: PlanFeatures


class Projections(BaseModel):
    """What the period comes to if it goes on as it began."""

    projected_monthly_requests: int
    will_exceed_limit: bool
    trending: Literal["increasing", "stable", "decreasing"] = Field(
        description="This week beside the one before: 10 % more or less."
    )


class Recommendations(BaseModel):
    """What could be done."""

    suggestions: list[str]


class UsagePlan(BaseModel):
    """The plan, and how far it reaches."""

    billing_period: BillingPeriod
    plan_details: PlanDetails
    projections: Projections | None
    optimization_recommendations: Recommendations


class MonthlyTokens(BaseModel):
    """The tokens of the looks at pictures in a calendar month (UTC)."""

    year: int
    month: int
    total_input_tokens: int
    total_output_tokens: int
    total_tokens: int


class FileTokens(BaseModel):
    """The tokens of all looks at a picture."""

    image_id: str
    filename: str | None
    input_tokens: int
    output_tokens: int
    total_tokens: int
    created_at: datetime


class FileTokenList(BaseModel):
    """A page of described pictures, the newest first; the sums are of all pages."""

    files: list[FileTokens]
    total_count: int
    total_input_tokens: int
    total_output_tokens: int


class ConversationTokens(BaseModel):
    """The tokens of a conversation."""

    session_id: str
    title: str | None
    input_tokens: int
    output_tokens: int
    total_tokens: int
    message_count: int
    created_at: datetime


class ConversationTokenList(BaseModel):
    """A page of conversations, the newest first; the sums are of all pages."""

    conversations: list[ConversationTokens]
    total_count: int
    total_input_tokens: int
    total_output_tokens: int


class DayOfActivity(BaseModel):
    """A day (UTC)."""

    date: str
    files_uploaded: int
    chat_messages: int


class DashboardAnalytics(BaseModel):
    """What happened in the last days, today included."""

    period: str
    start_date: str
    end_date: str
    daily_activity: list[DayOfActivity]
    total_chat_messages: int = Field(description="Those of people, not the answers.")
    total_files_uploaded: int
    total_chat_sessions: int
    avg_processing_time_ms: float | None
    success_rate: float | None = Field(description="Percent.")
    processing_tokens: int = Field(description="Of the looks at pictures.")
    chat_tokens: int
    total_tokens: int
    current_month_chat_tokens: int = 0
    max_monthly_chat_tokens: int = 0


class UsageEvent(BaseModel):
    """One request and how it was answered."""

    id: str
    timestamp: datetime = Field(description="When it was answered.")
    operation_type: str = Field(
        description="describe, verify, upload, chat, else the resource.", examples=["describe"]
    )
    endpoint: str = Field(
        description="Without ids.", examples=["/api/v2/user-files/{file_id}/describe"]
    )
    method: str = Field(examples=["POST"])
    status_code: int = Field(description="499: the client left before an answer.", examples=[200])
    response_time_ms: int
    error_code: str | None = None
    api_key_id: str


class Pagination(BaseModel):
    """Which page this is."""

    page: int
    page_size: int
    total_count: int
    total_pages: int


class UsageDetails(BaseModel):
    """Requests, the newest first."""

    events: list[UsageEvent]
    pagination: Pagination


class EndpointUse(BaseModel):
    """How often an endpoint was asked."""

    endpoint: str = Field(examples=["/api/v2/user-files"])
    method: str = Field(examples=["GET"])
    request_count: int
    error_count: int = Field(description="Answers from 400 on.")
    avg_response_time_ms: float


class TopEndpoints(BaseModel):
    """Endpoints, the one that was asked most often first."""

    endpoints: list[EndpointUse]
