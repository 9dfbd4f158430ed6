"""Routes about limits and use."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query, Request
from pydantic import BeforeValidator

from ocelli.api.aion.common import Moment, errors, resource_router
from ocelli.api.aion.usage import mapping, schemas
from ocelli.api.auth import CurrentKey, CurrentServices
from ocelli.api.policy import requires
from ocelli.domain.errors import ValidationFailed
from ocelli.domain.request_log import RequestQuery
from ocelli.domain.scopes import KeyRole
from ocelli.domain.timestamps import moment
from ocelli.domain.usage_reports import Period, period_of

router = resource_router(tag="usage")


def _not_a_number(value: object) -> object:
    """Pydantic would take ``0`` for the first of January 1970."""
    if isinstance(value, str) and value.lstrip("-").replace(".", "", 1).isdigit():
        raise ValueError("must be an ISO 8601 date, like 2026-11-21")
    return value


Day = Annotated[date, BeforeValidator(_not_a_number)]
Limit = Annotated[int, Query(ge=1, le=100)]
Offset = Annotated[int, Query(ge=0, le=2**31 - 1)]
Since = Annotated[Moment | None, Query(description="Not older than this.")]
Until = Annotated[Moment | None, Query(description="Not newer; a day is included as a whole.")]
MAX_DAYS = 1_100
_DAYS = {"day": 1, "week": 7, "month": 30}


@router.post("/usage/check", summary="May so many pictures be described?", responses=errors())
@requires(KeyRole.READ, "usage:read", per_minute=60)
async def usage_check(
    body: schemas.UsageCheckRequest, key: CurrentKey, services: CurrentServices
) -> schemas.UsageCheck:
    """For now; the request itself decides."""
    status = await services.quota.status(key.tenant)
    return mapping.check(status, body.item_count, body.verification_level)


@router.get("/usage/summary", summary="What was used in a period", responses=errors())
@requires(KeyRole.READ, "usage:read", per_minute=30)
async def usage_summary(
    key: CurrentKey,
    services: CurrentServices,
    start_date: Annotated[Day | None, Query(description="First day (UTC).")] = None,
    end_date: Annotated[Day | None, Query(description="Last day (UTC). Default: today.")] = None,
    period: Annotated[
        Literal["day", "week", "month"], Query(description="Where no start_date is given.")
    ] = "month",
    api_key_id: Annotated[UUID | None, Query(description="Requests by this key alone.")] = None,
) -> schemas.UsageSummary:
    """Days are UTC; both are included."""
    end = end_date or datetime.now(UTC).date()
    start = start_date or max(date.min + timedelta(days=31), end) - timedelta(
        days=_DAYS[period] - 1
    )
    if start > end:
        raise ValidationFailed("start_date is after end_date.", field="start_date")
    status = await services.quota.status(key.tenant)
    delivered = await services.quota.delivered(key.tenant, start, end, api_key_id)
    return mapping.summary(key.tenant, status, delivered, start, end)


@router.get("/usage/breakdown", summary="Where this month's credits went", responses=errors())
@requires(KeyRole.READ, "usage:read", per_minute=30)
async def usage_breakdown(key: CurrentKey, services: CurrentServices) -> schemas.UsageBreakdown:
    """By verification level and by operation."""
    status = await services.quota.status(key.tenant)
    delivered = await services.quota.delivered(
        key.tenant, status.used.month, datetime.now(UTC).date()
    )
    return mapping.breakdown(status, delivered)


@router.get("/usage/by-period", summary="Results by day or month", responses=errors())
@requires(KeyRole.READ, "usage:read", per_minute=30)
async def usage_by_period(
    key: CurrentKey,
    services: CurrentServices,
    period_type: Annotated[
        Literal["day", "month"], Query(description="Hours are not counted apart.")
    ] = "day",
    start_date: Annotated[Day | None, Query(description="First day (UTC).")] = None,
    end_date: Annotated[Day | None, Query(description="Last day (UTC). Default: today.")] = None,
    api_key_id: Annotated[UUID | None, Query(description="Requests by this key alone.")] = None,
) -> schemas.UsageByPeriod:
    """By default of the last 30 days, or twelve months. At most 1,100 days."""
    by_month = period_type == "month"
    end = end_date or datetime.now(UTC).date()
    default = max(date(2, 1, 1), end) - timedelta(days=365 if by_month else 29)
    start = start_date or default
    if start > end or (end - start).days > MAX_DAYS:
        raise ValidationFailed(
            f"start_date is after end_date, or more than {MAX_DAYS:,} days before it.",
            field="start_date",
        )
    values = await services.usage_reports.delivered(
        key.tenant, start, end, api_key_id, by_month=by_month
    )
    return mapping.by_period(values, start, end, by_month=by_month)


@router.get("/usage/details", summary="Requests, one by one", responses=errors())
@requires(KeyRole.READ, "usage:read", per_minute=30)
async def usage_details(
    key: CurrentKey,
    services: CurrentServices,
    start_date: Since = None,
    end_date: Until = None,
    api_key_id: Annotated[UUID | None, Query(description="Requests by this key alone.")] = None,
    operation_type: Annotated[
        str | None,
        Query(
            max_length=100,
            pattern=r"^[^\x00]*$",
            description="describe, verify, upload, chat, else the resource: `folders`.",
        ),
    ] = None,
    page: Annotated[int, Query(ge=1, le=2**31 // 100)] = 1,
    page_size: Limit = 50,
) -> schemas.UsageDetails:
    """With all surfaces, the newest first. Kept are those of the last 30 days, at most 100,000.

    They appear a second after they were answered.
    """
    query = RequestQuery(
        since=moment(start_date),
        before=moment(end_date, end_of_day=True),
        key_id=api_key_id,
        operation=operation_type,
    )
    found, total = await services.request_log.page(
        key.tenant.id, query, limit=page_size, offset=(page - 1) * page_size
    )
    return mapping.details(found, page, page_size, total)


@router.get("/usage/top-endpoints", summary="What is asked most often", responses=errors())
@requires(KeyRole.READ, "usage:read", per_minute=30)
async def usage_top_endpoints(
    key: CurrentKey,
    services: CurrentServices,
    limit: Annotated[int, Query(ge=1, le=50)] = 10,
    start_date: Since = None,
    end_date: Until = None,
) -> schemas.TopEndpoints:
    """Of the requests of `/usage/details`."""
    query = RequestQuery(since=moment(start_date), before=moment(end_date, end_of_day=True))
    return mapping.top_endpoints(
        await services.request_log.routes(key.tenant.id, query, limit=limit)
    )


@router.get("/usage/plan", summary="The plan, and how far it reaches", responses=errors())
@requires(KeyRole.READ, "usage:read", per_minute=30)
async def usage_plan(
    key: CurrentKey,
    services: CurrentServices,
    period: Literal["month", "quarter", "year"] = "month",
    include_projections: bool = True,
) -> schemas.UsagePlan:
    """Of the calendar month, quarter or year (UTC). What counts are descriptions."""
    today = datetime.now(UTC).date()
    span = period_of(Period(period), today)
    status = await services.quota.status(key.tenant)
    used = await services.usage_reports.descriptions(key.tenant, *span)
    fortnight = None
    if include_projections:
        begun = today - timedelta(days=13)
        days = await services.usage_reports.delivered(
            key.tenant, begun, today, None, by_month=False
        )
        fortnight = list(days.values())
    return mapping.plan(key.tenant, status, used, span, today, fortnight)


@router.get("/usage/tokens/monthly", summary="The tokens of a month", responses=errors())
@requires(KeyRole.READ, "usage:read", per_minute=30)
async def usage_tokens_monthly(
    key: CurrentKey,
    services: CurrentServices,
    year: Annotated[int | None, Query(ge=2000, le=9000, description="Default: this one.")] = None,
    month: Annotated[int | None, Query(ge=1, le=12, description="Default: this one.")] = None,
) -> schemas.MonthlyTokens:
    """Of all looks at pictures, as the backends report them; local models report none."""
    today = datetime.now(UTC).date()
    asked = date(year or today.year, month or today.month, 1)
    return mapping.monthly_tokens(asked, await services.usage_reports.tokens(key.tenant, asked))


@router.get("/usage/tokens/files", summary="The tokens of each picture", responses=errors())
@requires(KeyRole.READ, "usage:read", per_minute=30)
async def usage_tokens_files(
    key: CurrentKey, services: CurrentServices, limit: Limit = 50, offset: Offset = 0
) -> schemas.FileTokenList:
    """Described pictures that are there, the newest first, with the tokens of all looks at them."""
    return mapping.file_tokens(await services.usage_reports.files(key.tenant, limit, offset))


@router.get(
    "/usage/tokens/conversations", summary="The tokens of each conversation", responses=errors()
)
@requires(KeyRole.READ, "usage:read", per_minute=30)
async def usage_tokens_conversations(
    key: CurrentKey, services: CurrentServices, limit: Limit = 50, offset: Offset = 0
) -> schemas.ConversationTokenList:
    """Those of `/chat/sessions`, closed ones too, the one with the newest message first."""
    return mapping.conversation_tokens(
        await services.usage_reports.conversations(key.tenant, limit, offset)
    )


@router.get("/usage/dashboard-analytics", summary="What happened of late", responses=errors())
@requires(KeyRole.READ, "usage:read", per_minute=30)
async def usage_dashboard(
    key: CurrentKey,
    services: CurrentServices,
    period: Literal["week", "month", "year"] = "month",
) -> schemas.DashboardAnalytics:
    """Of the last 7, 30 or 365 days (UTC), today included."""
    found = await services.usage_reports.activity(key.tenant, Period(period))
    return mapping.dashboard(period, found)


@router.get("/tenant/limits", summary="The tier's limits", responses=errors())
@requires(KeyRole.READ, "tenants:read")
async def tenant_limits(
    request: Request, key: CurrentKey, services: CurrentServices
) -> schemas.TenantLimits:
    """What they are, what is used of them, what remains."""
    status = await services.quota.status(key.tenant)
    return mapping.limits(key.tenant, status, request.state.rate)
