"""What was used of the account."""

from dataclasses import field
from datetime import date, datetime
from typing import Annotated, Any

from aion.types._model import From, Model, record


@record
class UsageCheck(Model):
    """Whether so many pictures may be described now, in credits; one is one look."""

    can_proceed: bool
    current_usage: int = 0
    monthly_limit: int = 0
    required_credits: int = 0
    available_credits: int = 0
    reset_date: date | None = None
    message: str | None = None


@record
class UsageSummary(Model):
    """What was used from ``start`` to ``end`` (a day each), and what is left of the month."""

    start: Annotated[datetime | None, From("period.start")] = None
    end: Annotated[datetime | None, From("period.end")] = None
    describe_count: Annotated[int, From("usage.describe_count")] = 0
    verify_count: Annotated[int, From("usage.verify_count")] = 0
    batch_count: Annotated[int, From("usage.batch_count")] = 0
    total_requests: Annotated[int, From("usage.total_requests")] = 0
    successful_requests: Annotated[int, From("usage.successful_requests")] = 0
    failed_requests: Annotated[int, From("usage.failed_requests")] = 0
    avg_response_time_ms: Annotated[float, From("performance.avg_response_time_ms")] = 0.0
    total_credits: int = 0
    monthly_limit: Annotated[int, From("limits.monthly_limit")] = 0
    used_this_month: Annotated[int, From("limits.used_this_month")] = 0
    remaining: Annotated[int, From("limits.remaining")] = 0
    percentage_used: Annotated[float, From("limits.percentage_used")] = 0.0
    plan: dict[str, Any] = field(default_factory=dict)


@record
class UsageBreakdown(Model):
    """Where the credits of this month went."""

    current_month: str = ""
    total_credits_used: int = 0
    monthly_limit: int = 0
    remaining_credits: int = 0
    usage_percentage: float = 0.0
    reset_date: datetime | None = None
    by_verification_level: dict[str, int] = field(default_factory=dict)
    by_operation_type: dict[str, int] = field(default_factory=dict)
