"""Routes of ``/webhooks``."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Path, Query, Request, Response

from ocelli.api.aion.common import errors, resource_router
from ocelli.api.aion.webhooks import mapping, schemas
from ocelli.api.auth import CurrentKey, CurrentServices, client_address
from ocelli.api.cursors import Cursor, from_cursor, to_cursor
from ocelli.api.policy import requires
from ocelli.domain.audit import Actor
from ocelli.domain.paging import PageRequest
from ocelli.domain.scopes import KeyRole
from ocelli.domain.webhooks import DeliveryStatus

router = resource_router("/webhooks", tag="webhooks")

WebhookId = Annotated[str, Path(max_length=36, description="The id.")]
DeliveryId = Annotated[str, Path(max_length=36, description="The id: its `webhook-id`.")]


@router.post(
    "",
    summary="Register a webhook",
    status_code=201,
    responses=errors(409),
)
@requires(KeyRole.ADMIN)
async def create_webhook(
    request: Request,
    body: schemas.NewWebhook,
    response: Response,
    key: CurrentKey,
    services: CurrentServices,
) -> schemas.WebhookSecret:
    """Events are posted to it by the Standard Webhooks specification, each until it is accepted or
    a day has passed. The `secret`, which signs them, is shown this once. A tenant has at most ten
    webhooks.
    """
    by = Actor.of(key, client_address(request))
    endpoint, secret = await services.webhooks.create(by, mapping.change(body))
    response.headers["Cache-Control"] = "no-store"
    return mapping.webhook_secret(endpoint, secret)


@router.get("", summary="List webhooks", responses=errors())
@requires(KeyRole.ADMIN)
async def list_webhooks(key: CurrentKey, services: CurrentServices) -> schemas.WebhookList:
    """All of them, oldest first, without their secrets."""
    found = await services.webhooks.all(key.tenant.id)
    return schemas.WebhookList(webhooks=[mapping.webhook(each) for each in found])


@router.get("/{webhook_id}", summary="Get a webhook", responses=errors(404))
@requires(KeyRole.ADMIN)
async def get_webhook(
    webhook_id: WebhookId, key: CurrentKey, services: CurrentServices
) -> schemas.Webhook:
    """And whether it fails, or is disabled."""
    return mapping.webhook(await services.webhooks.get(key.tenant.id, webhook_id))


@router.patch("/{webhook_id}", summary="Change a webhook", responses=errors(404))
@requires(KeyRole.ADMIN)
async def update_webhook(
    request: Request,
    webhook_id: WebhookId,
    body: schemas.WebhookChange,
    key: CurrentKey,
    services: CurrentServices,
) -> schemas.Webhook:
    """`enabled: true` after it was disabled: what waits and is not a day old is delivered."""
    by = Actor.of(key, client_address(request))
    return mapping.webhook(await services.webhooks.change(by, webhook_id, mapping.change(body)))


@router.delete("/{webhook_id}", summary="Delete a webhook", status_code=204, responses=errors(404))
@requires(KeyRole.ADMIN)
async def delete_webhook(
    request: Request, webhook_id: WebhookId, key: CurrentKey, services: CurrentServices
) -> None:
    """With its deliveries, also those that are still to be made."""
    await services.webhooks.delete(Actor.of(key, client_address(request)), webhook_id)


@router.post("/{webhook_id}/rotate-secret", summary="Make a new secret", responses=errors(404, 409))
@requires(KeyRole.ADMIN)
async def rotate_webhook_secret(
    request: Request,
    webhook_id: WebhookId,
    response: Response,
    key: CurrentKey,
    services: CurrentServices,
    body: schemas.SecretRotation | None = None,
) -> schemas.WebhookSecret:
    """Deliveries carry a signature by each secret that is valid. `expire_after_seconds` 0 ends the
    earlier ones at once.
    """
    overlap = timedelta(seconds=(body or schemas.SecretRotation()).expire_after_seconds)
    by = Actor.of(key, client_address(request))
    endpoint, secret = await services.webhooks.rotate_secret(by, webhook_id, overlap=overlap)
    response.headers["Cache-Control"] = "no-store"
    return mapping.webhook_secret(endpoint, secret)


@router.post(
    "/{webhook_id}/test", summary="Send a test event", status_code=202, responses=errors(404, 409)
)
@requires(KeyRole.ADMIN, per_minute=30)
async def send_test_event(
    webhook_id: WebhookId, key: CurrentKey, services: CurrentServices
) -> schemas.WebhookDelivery:
    """`webhook.test`, whichever event types it wants. Its deliveries say what became of it."""
    return mapping.delivery(await services.webhooks.send_test(key.tenant.id, webhook_id))


@router.get("/{webhook_id}/deliveries", summary="List deliveries", responses=errors(404))
@requires(KeyRole.ADMIN)
async def list_webhook_deliveries(
    webhook_id: WebhookId,
    key: CurrentKey,
    services: CurrentServices,
    status: DeliveryStatus | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: Cursor = None,
) -> schemas.WebhookDeliveryList:
    """Newest first. They are kept for seven days after they ended."""
    page = PageRequest(limit, after=from_cursor(cursor, "deliveries", datetime, UUID))
    found, more = await services.webhooks.deliveries(key.tenant.id, webhook_id, status, page)
    return schemas.WebhookDeliveryList(
        deliveries=[mapping.delivery(each) for each in found],
        next_cursor=to_cursor("deliveries", (found[-1].created_at, found[-1].id)) if more else None,
    )


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/replay",
    summary="Deliver again",
    status_code=202,
    responses=errors(404, 409),
)
@requires(KeyRole.ADMIN, per_minute=60)
async def replay_webhook_delivery(
    webhook_id: WebhookId, delivery_id: DeliveryId, key: CurrentKey, services: CurrentServices
) -> schemas.WebhookDelivery:
    """Whatever became of it, with the same `webhook-id` and body, and for another day."""
    replayed = await services.webhooks.replay(key.tenant.id, webhook_id, delivery_id)
    return mapping.delivery(replayed)
