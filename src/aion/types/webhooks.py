"""Webhooks: where events are posted to, and what became of them."""

from dataclasses import field
from datetime import datetime
from typing import Any

from aion.types._model import Model, record


@record
class Webhook(Model):
    """An address that events are posted to; ``event_types`` empty: all.

    ``disabled_reason``: ``by_request``, ``gone`` (it answered with 410) or ``failing``.
    """

    id: str
    url: str = ""
    description: str | None = None
    event_types: list[str] = field(default_factory=list)
    enabled: bool = True
    disabled_reason: str | None = None
    failing_since: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


@record
class WebhookSecret(Model):
    """A webhook with its new ``secret``, which is shown this once; see Webhook for the rest."""

    id: str
    secret: str
    url: str = ""
    description: str | None = None
    event_types: list[str] = field(default_factory=list)
    enabled: bool = True
    disabled_reason: str | None = None
    failing_since: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None

    def __repr__(self) -> str:
        return f"WebhookSecret(id={self.id!r}, url={self.url!r})"


@record
class WebhookList(Model):
    """All webhooks of the account, oldest first."""

    webhooks: list[Webhook] = field(default_factory=list)


@record
class WebhookDelivery(Model):
    """One event for one webhook; ``id`` is the ``webhook-id`` of each attempt.

    ``status``: ``pending``, ``delivered`` or ``failed``. ``payload`` is the body.
    """

    id: str
    event_type: str = ""
    status: str = "pending"
    attempts: int = 0
    created_at: datetime | None = None
    last_attempt_at: datetime | None = None
    next_attempt_at: datetime | None = None
    response_status: int | None = None
    error: str | None = None
    payload: dict[str, Any] = field(default_factory=dict)


@record
class WebhookDeliveryList(Model):
    """One page of deliveries, newest first."""

    deliveries: list[WebhookDelivery] = field(default_factory=list)
    next_cursor: str | None = None
