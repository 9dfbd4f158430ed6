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
class UsageEvent(Model):
    """One request and how it was answered; ``endpoint`` is its path without ids."""

    id: str
    timestamp: datetime | None = None
    operation_type: str = ""
    endpoint: str = ""
    method: str = ""
    status_code: int = 0
    response_time_ms: int = 0
    error_code: str | None = None
    api_key_id: str = ""


@record
class UsageDetails(Model):
    """A page of requests, the newest first."""

    events: list[UsageEvent] = field(default_factory=list)
    page: Annotated[int, From("pagination.page")] = 1
    page_size: Annotated[int, From("pagination.page_size")] = 0
    total_count: Annotated[int, From("pagination.total_count")] = 0
    total_pages: Annotated[int, From("pagination.total_pages")] = 0

    @property
    def has_more(self) -> bool:
        """Whether there is a page after this one."""
        return self.page < self.total_pages


@record
class EndpointUse(Model):
    """How often an endpoint was asked, and answered with an error."""

    endpoint: str
    method: str = ""
    request_count: int = 0
    error_count: int = 0
    avg_response_time_ms: float = 0.0


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
