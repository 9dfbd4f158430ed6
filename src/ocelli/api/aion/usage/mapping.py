"""From the meters to the bodies about limits and use."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING

from ocelli.api.aion.uploads.mapping import UNLIMITED
from ocelli.api.aion.usage import schemas
from ocelli.domain.analysis import VerificationLevel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.domain.accounts import Tenant
    from ocelli.domain.rates import RateState
    from ocelli.domain.usage import Delivered
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
            renewal_date=status.reset,
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
        reset_date=status.reset,
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


def _of(delivered: Sequence[Delivered], operation: str) -> int:
    return sum(each.succeeded for each in delivered if each.operation == operation)


def _number(limit: int | None) -> int:
    return UNLIMITED if limit is None else limit


def _percent(used: int, limit: int | None) -> float:
    return round(100 * used / limit, 2) if limit else 0.0
