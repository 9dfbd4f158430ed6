"""Bodies of ``/webhooks``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from ocelli.api.cursors import NEXT
from ocelli.domain.webhooks import (
    MAX_OVERLAP,
    DeliveryStatus,
    DisabledReason,
    EventType,
)

_EXAMPLE: dict[str, Any] = {
    "id": "0f6e3b52-6c1f-4a55-9c3e-1d1f5a0f7c11",
    "url": "https://example.com/ocelli",
    "description": "The shop",
    "event_types": ["image.described"],
    "enabled": True,
    "disabled_reason": None,
    "failing_since": None,
    "created_at": "2026-05-04T09:30:00Z",
    "updated_at": "2026-05-04T09:30:00Z",
}


def _unique(types: list[EventType]) -> list[EventType]:
    return list(dict.fromkeys(types))


Url = Annotated[
    str,
    StringConstraints(max_length=2083, pattern=r"^https?://[^\s\x00]+$"),
    Field(
        description="Public addresses only, unless the operator allows others.",
        examples=["https://example.com/ocelli"],
    ),
]
Description = Annotated[str, StringConstraints(max_length=255, pattern=r"^[^\x00]*$")]
EventTypes = Annotated[
    list[EventType],
    Field(max_length=len(EventType), description="Empty: all, also those of later versions."),
    AfterValidator(_unique),
]


class NewWebhook(BaseModel):
    """An address that events are to be posted to."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"url": "https://example.com/ocelli", "event_types": ["image.described"]}]
        },
    )

    url: Url
    description: Description | None = None
    event_types: EventTypes = []


class WebhookChange(BaseModel):
    """What is absent or null stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"enabled": True}]})

    url: Url | None = None
    description: Description | None = Field(None, description="Empty: none.")
    event_types: EventTypes | None = None
    enabled: bool | None = Field(
        None,
        description="False: events are not recorded for it, and deliveries wait. True: also after "
        "it was disabled because it failed.",
    )


class Webhook(BaseModel):
    """An address, without its secrets."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: UUID
    url: str
    description: str | None
    event_types: list[str] = Field(description="Empty: all.")
    enabled: bool
    disabled_reason: DisabledReason | None = Field(
        description="`by_request`; `gone`: it answered with 410; `failing`: nothing was accepted "
        "for five days."
    )
    failing_since: datetime | None = Field(
        description="The first failure after the last success; null: the last one succeeded."
    )
    created_at: datetime
    updated_at: datetime


class WebhookSecret(Webhook):
    """An address with its new secret, which is shown this once and cannot be had again."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{**_EXAMPLE, "secret": "whsec_RVhBTVBMRUVYQU1QTEVFWEFNUExFRVhBTVBMRQ=="}]
        }
    )

    secret: str


class WebhookList(BaseModel):
    """All of them, oldest first."""

    webhooks: list[Webhook]


class SecretRotation(BaseModel):
    """For how long the earlier secrets go on."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"expire_after_seconds": 86400}]}
    )

    expire_after_seconds: int = Field(
        24 * 3600,
        ge=0,
        le=int(MAX_OVERLAP.total_seconds()),
        description="Until then each delivery is signed with the earlier secrets, too.",
    )


class WebhookDelivery(BaseModel):
    """One event for one address."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "6c4c1f0e-3b52-4a55-9c3e-1d1f5a0f7c11",
                    "event_type": "webhook.test",
                    "status": "delivered",
                    "attempts": 1,
                    "created_at": "2026-05-04T09:30:00Z",
                    "last_attempt_at": "2026-05-04T09:30:01Z",
                    "next_attempt_at": None,
                    "response_status": 204,
                    "error": None,
                    "payload": {
                        "type": "webhook.test",
                        "timestamp": "2026-05-04T09:30:00Z",
                        "data": {"webhook_id": _EXAMPLE["id"]},
                    },
                }
            ]
        }
    )

    id: UUID = Field(description="The `webhook-id` of each attempt.")
    event_type: str
    status: DeliveryStatus
    attempts: int
    created_at: datetime
    last_attempt_at: datetime | None
    next_attempt_at: datetime | None = Field(description="Null: none.")
    response_status: int | None = Field(description="Of the last attempt, if it was answered.")
    error: str | None = Field(description="Why the last attempt failed.")
    payload: dict[str, Any] = Field(description="The body.")


class WebhookDeliveryList(BaseModel):
    """A page of deliveries, newest first."""

    deliveries: list[WebhookDelivery]
    next_cursor: str | None = Field(description=NEXT)
