"""Routes of the page: what shortens or erases is asked for twice, with what goes by name."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from ocelli.api.auth import client_address
from ocelli.api.policy import requires
from ocelli.console.pages import render
from ocelli.console.privacy import mapping
from ocelli.console.services import Console
from ocelli.console.visitors import CurrentConsole, CurrentVisitor, PostedForm, Visitor
from ocelli.domain.file_query import FileQuery
from ocelli.domain.paging import PageRequest
from ocelli.domain.scopes import KeyRole, allows
from ocelli.domain.tenant_settings import SettingsChange

router = APIRouter(prefix="/privacy")

SETTINGS = "tenants:write"
CONFIRMED = "yes"
Offset = Annotated[int, Query(ge=0, le=2**31 - 1)]


@router.get("")
@requires(KeyRole.ADMIN)
async def show_privacy(
    request: Request,
    visitor: CurrentVisitor,
    console: CurrentConsole,
    saved: bool = False,
    erased: UUID | None = None,
    offset: Offset = 0,
) -> Response:
    """Retention, a form to erase pictures, and the receipts.

    ``saved`` and ``erased``, a receipt, are what was just done.
    """
    services, tenant = console.services, visitor.key.tenant
    done = "Saved." if saved else ""
    if erased is not None:
        done = mapping.told(await services.erasures.get(tenant.id, str(erased)))
    found, total = await services.erasures.page(tenant.id, limit=mapping.RECEIPTS, offset=offset)
    days = (await services.tenant_settings.get(tenant.id)).retention_days
    more = offset + len(found)
    return await render(
        request,
        "privacy.html",
        kinds=mapping.KINDS,
        days=days,
        most_days=mapping.MOST_DAYS,
        most_erased=mapping.MOST_ERASED,
        may_set=allows(visitor.key.scopes, KeyRole.ADMIN, SETTINGS),
        receipts=found,
        total=total,
        next_offset=more if more < total else None,
        done=done,
        requests=mapping.api_requests(days),
    )


@router.post("/retention")
@requires(KeyRole.ADMIN, SETTINGS, per_minute=10)
async def set_retention(
    request: Request, visitor: CurrentVisitor, console: CurrentConsole, form: PostedForm
) -> Response:
    """Set how long things are kept; what is to be erased sooner than before is asked for first."""
    settings = console.services.tenant_settings
    days = mapping.retention(form)
    before = (await settings.get(visitor.key.tenant.id)).retention_days
    sooner = mapping.shortened(before, days)
    if sooner and form.get("confirmed") != CONFIRMED:
        return await _ask(request, days=days, sooner=sooner, kinds=mapping.KINDS)
    change = SettingsChange(retention_days=days)
    await settings.change(visitor.key, change, client_address(request))
    return _back(console, "saved=true")


@router.post("/erase")
@requires(KeyRole.ADMIN, per_minute=60)
async def erase(
    request: Request, visitor: CurrentVisitor, console: CurrentConsole, form: PostedForm
) -> Response:
    """Erase pictures for good, once it was said which these are."""
    ids = mapping.ids(form)
    if form.get("confirmed") != CONFIRMED:
        return await _ask(request, pictures=await _named(visitor, console, ids))
    receipt = await console.services.erasures.erase_pictures(
        visitor.key, ids, client_address(request)
    )
    return _back(console, f"erased={receipt.id}")


async def _named(visitor: Visitor, console: Console, ids: list[str]) -> dict[str, str | None]:
    """Return the names of pictures by id; None for one that is deleted, or not there."""
    query = FileQuery(ids=tuple(map(UUID, ids)))
    page = await console.services.files.page(visitor.key.tenant.id, query, PageRequest(len(ids)))
    names = {str(each.id): each.filename for each in page.images}
    return {id: names.get(id) for id in ids}


async def _ask(request: Request, **what: Any) -> Response:
    return await render(request, "privacy_confirm.html", **{"pictures": None, "days": None} | what)


def _back(console: Console, did: str) -> Response:
    return RedirectResponse(f"{console.root}/privacy?{did}", 303)
