"""Between the domain and the bodies of ``/webhooks``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ocelli.api.aion.webhooks import schemas
from ocelli.domain.webhooks import DisabledReason, EndpointChange

if TYPE_CHECKING:
    from ocelli.domain.webhooks import Delivery, Endpoint


def change(body: schemas.NewWebhook | schemas.WebhookChange) -> EndpointChange:
    """Return what a body asks for."""
    return EndpointChange(
        url=body.url,
        description=body.description,
        event_types=None if body.event_types is None else tuple(body.event_types),
        enabled=body.enabled if isinstance(body, schemas.WebhookChange) else None,
    )


def webhook(endpoint: Endpoint) -> schemas.Webhook:
    """Return an endpoint."""
    return schemas.Webhook(**_fields(endpoint))


def webhook_secret(endpoint: Endpoint, secret: str) -> schemas.WebhookSecret:
    """Return an endpoint with its new secret."""
    return schemas.WebhookSecret(**_fields(endpoint), secret=secret)


def delivery(each: Delivery) -> schemas.WebhookDelivery:
    """Return a delivery."""
    return schemas.WebhookDelivery(
        id=each.id,
        event_type=each.event_type,
        status=each.status,
        attempts=each.attempts,
        created_at=each.created_at,
        last_attempt_at=each.last_attempt_at,
        next_attempt_at=each.next_attempt_at,
        response_status=each.response_status,
        error=each.error,
        payload=json.loads(each.payload),
    )


def _fields(endpoint: Endpoint) -> dict[str, Any]:
    reason = endpoint.disabled_reason
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "description": endpoint.description,
        "event_types": list(endpoint.event_types),
        "enabled": endpoint.disabled_at is None,
        "disabled_reason": reason and DisabledReason(reason),
        "failing_since": endpoint.failing_since,
        "created_at": endpoint.created_at,
        "updated_at": endpoint.updated_at,
    }
