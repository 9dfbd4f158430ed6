"""Routes of usage and keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from ocelli.api.policy import requires
from ocelli.console.pages import render
from ocelli.console.services import Console
from ocelli.console.usage import mapping
from ocelli.console.visitors import CurrentConsole, CurrentVisitor, PostedForm, Visitor
from ocelli.domain.paging import PageRequest
from ocelli.domain.scopes import SCOPES, KeyRole, allows
from ocelli.domain.usage import Spend

router = APIRouter(prefix="/usage")

KeyId = Annotated[UUID, Path()]
MAKE, REVOKE, LIST = "api_keys:write", "api_keys:delete", "api_keys:read"


@router.get("")
@requires(KeyRole.READ, "usage:read")
async def show_usage(
    request: Request,
    visitor: CurrentVisitor,
    console: CurrentConsole,
    inactive: Annotated[bool, Query()] = False,
) -> Response:
    """What was used, what is left, and the keys."""
    return await _page(request, visitor, console, inactive=inactive)


@router.post("/keys")
@requires(KeyRole.ADMIN, MAKE)
async def make_key(
    request: Request, visitor: CurrentVisitor, console: CurrentConsole, form: PostedForm
) -> Response:
    """Make a key; this answer alone shows it."""
    made, secret = await console.services.keys.create(visitor.key, mapping.draft(form))
    return await _page(request, visitor, console, made=made, secret=secret)


@router.post("/keys/{key_id}/revoke")
@requires(KeyRole.ADMIN, REVOKE)
async def revoke_key(key_id: KeyId, visitor: CurrentVisitor, console: CurrentConsole) -> Response:
    """Revoke a key; its browsers are signed out, too."""
    await console.services.keys.deactivate(visitor.key, key_id, "revoked in the console")
    return RedirectResponse(f"{console.root}/usage#keys", 303)


async def _page(
    request: Request,
    visitor: Visitor,
    console: Console,
    *,
    inactive: bool = False,
    made: Any = None,
    secret: str | None = None,
) -> Response:
    services, tenant = console.services, visitor.key.tenant
    today = datetime.now(UTC).date()
    status = await services.quota.status(tenant)
    start = today - timedelta(days=mapping.DAYS - 1)
    used = await services.quota.history(tenant, start, today)
    may_list = allows(visitor.key.scopes, KeyRole.READ, LIST)
    keys, total, _ = (
        await services.keys.page(tenant.id, inactive=inactive, page=PageRequest(mapping.KEYS))
        if may_list
        else ((), 0, False)
    )
    return await render(
        request,
        "usage.html",
        reset=status.reset,
        meters=mapping.meters(status, request.state.rate),
        balance=await services.fetch_jobs.balance(tenant),
        days=used.days,
        spent=sum((each.spend for each in used.days), Spend()),
        answer_bars=mapping.answer_bars(used.days),
        dollar_bars=mapping.dollar_bars(used.days),
        backends=used.backends,
        used_by_key=used.keys if may_list else (),
        money=mapping.money,
        keys=keys,
        key_total=total,
        inactive=inactive,
        now=datetime.now(UTC),
        made=made,
        secret=secret,
        scopes=[each for each in SCOPES if each not in set(KeyRole)],
        roles=[role for role in KeyRole if allows(visitor.key.scopes, role)],
        may_make=allows(visitor.key.scopes, KeyRole.ADMIN, MAKE),
        may_revoke=allows(visitor.key.scopes, KeyRole.ADMIN, REVOKE),
        lifetimes=mapping.LIFETIMES,
        requests=mapping.api_requests(),
    )
