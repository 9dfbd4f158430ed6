"""From the meters to the bodies about limits and use."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Literal

from ocelli.api.aion.uploads.mapping import UNLIMITED
from ocelli.api.aion.usage import schemas
from ocelli.domain.analysis import VerificationLevel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocelli.domain.accounts import Tenant
    from ocelli.domain.claims import Tokens
    from ocelli.domain.rates import RateState
    from ocelli.domain.request_log import RouteUse, StoredRequest
    from ocelli.domain.usage import Delivered
    from ocelli.domain.usage_reports import Activity, TokenPage
    from ocelli.usecases.quota import QuotaStatus


def check(status: QuotaStatus, count: int, level: VerificationLevel) -> schemas.UsageCheck:
    """Return whether ``count`` descriptions are within the limit."""
    left = status.descriptions_left
    can = left is None or count <= left
    return schemas.UsageCheck(
        can_proceed=can,
        current_usage=status.used.descriptions,
        monthly_limit=_number(status.limits.monthly_descriptions),
        required_credits=count * level.looks,
        available_credits=_number(left),
        reset_date=status.reset,
        message=None if can else f"Only {left} descriptions are left until {status.reset}.",
    )


def summary(
    tenant: Tenant, status: QuotaStatus, delivered: Sequence[Delivered], start: date, end: date
) -> schemas.UsageSummary:
    """Return the usage of a period and of the month."""
    succeeded = sum(each.succeeded for each in delivered)
    failed = sum(each.failed for each in delivered)
    milliseconds = sum(each.milliseconds for each in delivered)
    used, limit = status.used.descriptions, status.limits.monthly_descriptions
    left, percent = _number(status.descriptions_left), _percent(used, limit)
    return schemas.UsageSummary(
        period=schemas.Period(
            start=datetime.combine(start, time.min, UTC), end=datetime.combine(end, time.max, UTC)
        ),
        usage=schemas.UsageCounts(
            describe_count=_of(delivered, "describe"),
            verify_count=_of(delivered, "verify"),
            batch_count=_of(delivered, "batch_describe") + _of(delivered, "batch_verify"),
            total_requests=succeeded + failed,
            successful_requests=succeeded,
            failed_requests=failed,
        ),
        performance=schemas.Performance(
            avg_response_time_ms=round(milliseconds / succeeded, 1) if succeeded else 0.0
        ),
        limits=schemas.UsageLimits(
            monthly_limit=_number(limit),
            used_this_month=used,
            remaining=left,
            percentage_used=percent,
        ),
        plan=schemas.Plan(
            name=tenant.tier,
            requests_limit=_number(limit),
            requests_used=used,
            requests_remaining=left,
            usage_percentage=percent,
            renewal_date=_midnight(status.reset),
        ),
        total_credits=sum(each.credits for each in delivered),
    )


def breakdown(status: QuotaStatus, delivered: Sequence[Delivered]) -> schemas.UsageBreakdown:
    """Return this month's credits by operation; the limit is that on descriptions."""
    limit = status.limits.monthly_descriptions
    operations = ("describe", "verify", "batch_describe", "batch_verify", "chat")
    return schemas.UsageBreakdown(
        current_month=f"{status.used.month:%Y-%m}",
        total_credits_used=status.used.credits,
        monthly_limit=_number(limit),
        remaining_credits=_number(status.descriptions_left),
        usage_percentage=_percent(status.used.descriptions, limit),
        reset_date=_midnight(status.reset),
        by_verification_level={
            level: sum(each.credits for each in delivered if each.level is level)
            for level in VerificationLevel
        },
        by_operation_type={
            name: sum(each.credits for each in delivered if each.operation == name)
            for name in operations
        },
    )


def limits(tenant: Tenant, status: QuotaStatus, rate: RateState) -> schemas.TenantLimits:
    """Return limits and usage as integers; unlimited is a number that no client reaches."""
    tier, used = status.limits, status.used
    allowed = {
        "monthly_uploads": _number(tier.monthly_uploads),
        "monthly_descriptions": _number(tier.monthly_descriptions),
        "api_calls_per_minute": rate.limit,
        "files_per_batch": tier.files_per_batch,
        "concurrent_uploads": tier.concurrent_uploads,
        "max_image_bytes": tier.max_image_bytes,
        "storage_bytes": 2**53 if tier.storage_bytes is None else tier.storage_bytes,
    }
    usage = {
        "monthly_uploads": used.uploads,
        "monthly_descriptions": used.descriptions,
        "api_calls_per_minute": rate.limit - rate.remaining,
        "storage_bytes": used.storage_bytes,
    }
    return schemas.TenantLimits(
        limits=allowed,
        usage=usage,
        remaining={name: max(0, allowed[name] - value) for name, value in usage.items()},
        subscription_tier=tenant.tier,
    )


def by_period(
    values: Mapping[date, int], start: date, end: date, *, by_month: bool
) -> schemas.UsageByPeriod:
    """Return the results of each day or month."""
    return schemas.UsageByPeriod(
        period_type="month" if by_month else "day",
        start_date=start,
        end_date=end,
        data=[
            schemas.PeriodValue(
                timestamp=_midnight(each),
                value=value,
                label=f"{each:%Y-%m}" if by_month else each.isoformat(),
            )
            for each, value in values.items()
        ],
    )


def plan(
    tenant: Tenant,
    status: QuotaStatus,
    used: int,
    span: tuple[date, date],
    today: date,
    fortnight: Sequence[int] | None,
) -> schemas.UsagePlan:
    """Return the plan; ``fortnight``: results of the last 14 days, None without projections."""
    start, before = span
    monthly = status.limits.monthly_descriptions
    months = (before.year - start.year) * 12 + before.month - start.month
    limit = None if monthly is None else monthly * months
    suggestions = []
    if limit is not None and used >= 0.8 * limit:
        suggestions.append(
            "Little is left: `verification_level=quick` costs fewer credits, and duplicates can be"
            " passed over with `skip_duplicates`."
        )
    return schemas.UsagePlan(
        billing_period=schemas.BillingPeriod(
            start_date=start,
            end_date=before - timedelta(days=1),
            days_remaining=(before - today).days,
            renewal_date=_midnight(before),
        ),
        plan_details=schemas.PlanDetails(
            plan_name=tenant.tier,
            monthly_requests_limit=_number(monthly),
            requests_used=used,
            requests_remaining=UNLIMITED if limit is None else max(0, limit - used),
            usage_percentage=_percent(used, limit),
            features=schemas.PlanFeatures(),
        ),
        projections=None
        if fortnight is None
        else _projections(used, limit, span, today, fortnight),
        optimization_recommendations=schemas.Recommendations(suggestions=suggestions),
    )


def _projections(
    used: int, limit: int | None, span: tuple[date, date], today: date, fortnight: Sequence[int]
) -> schemas.Projections:
    start, before = span
    projected = round(used * (before - start).days / ((today - start).days + 1))
    last, this = sum(fortnight[:7]), sum(fortnight[7:])
    trending: Literal["increasing", "stable", "decreasing"] = "stable"
    if this > 1.1 * last:
        trending = "increasing"
    elif this < 0.9 * last:
        trending = "decreasing"
    return schemas.Projections(
        projected_monthly_requests=projected,
        will_exceed_limit=limit is not None and projected > limit,
        trending=trending,
    )


def monthly_tokens(month: date, tokens: Tokens) -> schemas.MonthlyTokens:
    """Return the tokens of a month."""
    return schemas.MonthlyTokens(
        year=month.year,
        month=month.month,
        total_input_tokens=tokens.prompt,
        total_output_tokens=tokens.completion,
        total_tokens=tokens.prompt + tokens.completion,
    )


def file_tokens(page: TokenPage) -> schemas.FileTokenList:
    """Return the tokens of pictures."""
    return schemas.FileTokenList(
        files=[
            schemas.FileTokens(
                image_id=str(each.id),
                filename=each.name,
                input_tokens=each.tokens.prompt,
                output_tokens=each.tokens.completion,
                total_tokens=each.tokens.prompt + each.tokens.completion,
                created_at=each.created_at,
            )
            for each in page.rows
        ],
        total_count=page.count,
        total_input_tokens=page.total.prompt,
        total_output_tokens=page.total.completion,
    )


def conversation_tokens(page: TokenPage) -> schemas.ConversationTokenList:
    """Return the tokens of conversations."""
    return schemas.ConversationTokenList(
        conversations=[
            schemas.ConversationTokens(
                session_id=str(each.id),
                title=each.name,
                input_tokens=each.tokens.prompt,
                output_tokens=each.tokens.completion,
                total_tokens=each.tokens.prompt + each.tokens.completion,
                message_count=each.messages,
                created_at=each.created_at,
            )
            for each in page.rows
        ],
        total_count=page.count,
        total_input_tokens=page.total.prompt,
        total_output_tokens=page.total.completion,
    )


def dashboard(period: str, found: Activity) -> schemas.DashboardAnalytics:
    """Return what happened in a period."""
    ended = found.succeeded + found.failed
    looked = found.tokens.prompt + found.tokens.completion
    return schemas.DashboardAnalytics(
        period=period,
        start_date=found.start.isoformat(),
        end_date=found.end.isoformat(),
        daily_activity=[
            schemas.DayOfActivity(
                date=day.isoformat(),
                files_uploaded=found.uploads.get(day, 0),
                chat_messages=found.messages.get(day, 0),
            )
            for day in found.days
        ],
        total_chat_messages=sum(found.messages.values()),
        total_files_uploaded=sum(found.uploads.values()),
        total_chat_sessions=found.sessions,
        avg_processing_time_ms=(
            round(found.milliseconds / found.succeeded, 1) if found.succeeded else None
        ),
        success_rate=round(100 * found.succeeded / ended, 2) if ended else None,
        processing_tokens=looked,
        chat_tokens=found.chat_tokens,
        total_tokens=looked + found.chat_tokens,
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def _of(delivered: Sequence[Delivered], operation: str) -> int:
    return sum(each.succeeded for each in delivered if each.operation == operation)


def _number(limit: int | None) -> int:
    return UNLIMITED if limit is None else limit


def _percent(used: int, limit: int | None) -> float:
    return round(100 * used / limit, 2) if limit else 0.0


def details(
    found: Sequence[StoredRequest], page: int, page_size: int, total: int
) -> schemas.UsageDetails:
    """Return a page of requests."""
    return schemas.UsageDetails(
        events=[
            schemas.UsageEvent(
                id=str(each.id),
                timestamp=each.request.at,
                operation_type=each.request.operation,
                endpoint=each.request.route,
                method=each.request.method,
                status_code=each.request.status,
                response_time_ms=each.request.milliseconds,
                error_code=each.request.code,
                api_key_id=str(each.request.key_id),
            )
            for each in found
        ],
        pagination=schemas.Pagination(
            page=page, page_size=page_size, total_count=total, total_pages=-(-total // page_size)
        ),
    )


def top_endpoints(uses: Sequence[RouteUse]) -> schemas.TopEndpoints:
    """Return how often each route was asked."""
    return schemas.TopEndpoints(
        endpoints=[
            schemas.EndpointUse(
                endpoint=each.route,
                method=each.method,
                request_count=each.requests,
                error_count=each.errors,
                avg_response_time_ms=round(each.milliseconds, 1),
            )
            for each in uses
        ]
    )
