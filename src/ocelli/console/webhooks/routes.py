"""Routes of webhooks: all, one with its deliveries, and what can be done with it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from ocelli.api.auth import client_address
from ocelli.api.cursors import Cursor, from_cursor, to_cursor
from ocelli.api.policy import requires
from ocelli.console.pages import render
from ocelli.console.services import Console
from ocelli.console.visitors import CurrentConsole, CurrentVisitor, PostedForm, Visitor
from ocelli.console.webhooks import mapping
from ocelli.domain.audit import Actor
from ocelli.domain.paging import PageRequest
from ocelli.domain.scopes import KeyRole
from ocelli.domain.webhooks import EndpointChange

router = APIRouter(prefix="/webhooks")

WebhookId = Annotated[str, Path(max_length=36)]
DeliveryId = Annotated[str, Path(max_length=36)]
Text = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")]
OVERLAP = timedelta(days=1)


@router.get("")
@requires(KeyRole.ADMIN)
async def show_webhooks(
    request: Request, visitor: CurrentVisitor, console: CurrentConsole, done: Text = ""
) -> Response:
    """All of them, and a form to register one."""
    return await render(
        request,
        "webhooks.html",
        webhooks=await console.services.webhooks.all(visitor.key.tenant.id),
        events=mapping.EVENTS,
        disabled=mapping.DISABLED,
        done=done,
        requests=mapping.api_requests(),
    )


@router.post("")
@requires(KeyRole.ADMIN)
async def add_webhook(
    request: Request, visitor: CurrentVisitor, console: CurrentConsole, form: PostedForm
) -> Response:
    """Register one; this answer alone shows its secret."""
    made, secret = await console.services.webhooks.create(
        _actor(request, visitor), mapping.draft(form)
    )
    return await _page(request, visitor, console, str(made.id), secret=secret)


@router.get("/{webhook_id}")
@requires(KeyRole.ADMIN)
async def show_webhook(
    request: Request,
    webhook_id: WebhookId,
    visitor: CurrentVisitor,
    console: CurrentConsole,
    done: Text = "",
    cursor: Cursor = None,
) -> Response:
    """One, and what was delivered to it."""
    return await _page(request, visitor, console, webhook_id, done=done, cursor=cursor)


@router.post("/{webhook_id}/secret")
@requires(KeyRole.ADMIN)
async def make_secret(
    request: Request, webhook_id: WebhookId, visitor: CurrentVisitor, console: CurrentConsole
) -> Response:
    """Make a new secret, which this answer alone shows; earlier ones sign for another day."""
    _, secret = await console.services.webhooks.rotate_secret(
        _actor(request, visitor), webhook_id, overlap=OVERLAP
    )
    return await _page(request, visitor, console, webhook_id, secret=secret)


@router.post("/{webhook_id}/test")
@requires(KeyRole.ADMIN, per_minute=30)
async def try_webhook(
    webhook_id: WebhookId, visitor: CurrentVisitor, console: CurrentConsole
) -> Response:
    """Send a test event."""
    await console.services.webhooks.send_test(visitor.key.tenant.id, webhook_id)
    return _back(console, webhook_id, "A test event is on its way. Load the page again to see.")


@router.post("/{webhook_id}/enabled")
@requires(KeyRole.ADMIN)
async def enable_webhook(
    request: Request,
    webhook_id: WebhookId,
    visitor: CurrentVisitor,
    console: CurrentConsole,
    form: PostedForm,
) -> Response:
    """Enable or pause one."""
    change = EndpointChange(enabled=form.get("enabled") == "true")
    await console.services.webhooks.change(_actor(request, visitor), webhook_id, change)
    return _back(console, webhook_id, "Enabled." if change.enabled else "Paused.")


@router.post("/{webhook_id}/deliveries/{delivery_id}/replay")
@requires(KeyRole.ADMIN, per_minute=60)
async def replay_delivery(
    webhook_id: WebhookId,
    delivery_id: DeliveryId,
    visitor: CurrentVisitor,
    console: CurrentConsole,
) -> Response:
    """Deliver again."""
    await console.services.webhooks.replay(visitor.key.tenant.id, webhook_id, delivery_id)
    return _back(console, webhook_id, "It is delivered again.")


@router.post("/{webhook_id}/delete")
@requires(KeyRole.ADMIN)
async def remove_webhook(
    request: Request, webhook_id: WebhookId, visitor: CurrentVisitor, console: CurrentConsole
) -> Response:
    """Delete one, with what is still to be delivered to it."""
    await console.services.webhooks.delete(_actor(request, visitor), webhook_id)
    return RedirectResponse(f"{console.root}/webhooks?done=Deleted.", 303)


async def _page(
    request: Request,
    visitor: Visitor,
    console: Console,
    webhook_id: str,
    *,
    done: str = "",
    secret: str | None = None,
    cursor: str | None = None,
) -> Response:
    services, tenant = console.services.webhooks, visitor.key.tenant.id
    endpoint = await services.get(tenant, webhook_id)
    page = PageRequest(mapping.DELIVERIES, after=from_cursor(cursor, "deliveries", datetime, UUID))
    found, more = await services.deliveries(tenant, webhook_id, None, page)
    return await render(
        request,
        "webhook.html",
        headers={"Cache-Control": "no-store"} if secret else None,
        webhook=endpoint,
        deliveries=found,
        next_cursor=to_cursor("deliveries", (found[-1].created_at, found[-1].id)) if more else None,
        disabled=mapping.DISABLED,
        secret=secret,
        done=done,
        requests=mapping.api_requests(endpoint),
    )


def _actor(request: Request, visitor: Visitor) -> Actor:
    return Actor.of(visitor.key, client_address(request))


def _back(console: Console, webhook_id: str, said: str) -> Response:
    address = f"{console.root}/webhooks/{quote(webhook_id, safe='')}"
    return RedirectResponse(f"{address}?done={quote(said)}", 303)
