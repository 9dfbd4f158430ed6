"""Routes about limits and use."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query, Request
from pydantic import BeforeValidator

from ocelli.api.aion.common import errors, resource_router
from ocelli.api.aion.usage import mapping, schemas
from ocelli.api.auth import CurrentKey, CurrentServices
from ocelli.api.policy import requires
from ocelli.domain.errors import ValidationFailed
from ocelli.domain.scopes import KeyRole

router = resource_router(tag="usage")


def _not_a_number(value: object) -> object:
    """Pydantic would take ``0`` for the first of January 1970."""
    if isinstance(value, str) and value.lstrip("-").replace(".", "", 1).isdigit():
        raise ValueError("must be an ISO 8601 date, like 2026-11-21")
    return value


Day = Annotated[date, BeforeValidator(_not_a_number)]
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


@router.get("/tenant/limits", summary="The tier's limits", responses=errors())
@requires(KeyRole.READ, "tenants:read")
async def tenant_limits(
    request: Request, key: CurrentKey, services: CurrentServices
) -> schemas.TenantLimits:
    """What they are, what is used of them, what remains."""
    status = await services.quota.status(key.tenant)
    return mapping.limits(key.tenant, status, request.state.rate)
