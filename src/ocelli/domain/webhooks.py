"""Webhooks by the Standard Webhooks specification: events, signatures, and when to try again.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ocelli.domain.analysis import Status
from ocelli.domain.batches import BatchStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from ocelli.domain.analysis import Analysis, Failure
    from ocelli.domain.batches import Batch, Progress
    from ocelli.domain.tracing import TraceContext
    from ocelli.domain.upload_sessions import Session

MAX_ENDPOINTS = 10  # of a tenant
MAX_SECRETS = 5  # of an endpoint, that are valid at once
MAX_OVERLAP = timedelta(days=7)  # for which an earlier secret may go on
DISABLED_AFTER = timedelta(days=5)  # without one success
KEPT_FOR = 7 * 24 * 3600.0  # seconds; of deliveries that have ended

FIRST_DELAY = 5.0  # seconds; four times as long after each further attempt
LONGEST_DELAY = 4 * 3600.0
JITTER = 0.2

MAX_DESCRIPTION = 1_000  # characters of a description in an event
MAX_TAGS = 30
MAX_TAG = 100

SECRET_PREFIX = "whsec_"  # noqa: S105
_SECRET_BYTES = 32


class EventType(StrEnum):
    """What endpoints can be told."""

    IMAGE_DESCRIBED = "image.described"
    IMAGE_FAILED = "image.failed"
    SESSION_COMPLETED = "session.completed"
    BATCH_COMPLETED = "batch.completed"
    BATCH_FAILED = "batch.failed"
    BATCH_CANCELLED = "batch.cancelled"
    FETCH_COMPLETED = "fetch.completed"
    FETCH_FAILED = "fetch.failed"
    EXPORT_COMPLETED = "export.completed"
    EXPORT_FAILED = "export.failed"
    TEST = "webhook.test"


_BATCH_EVENTS = {
    BatchStatus.FAILED: EventType.BATCH_FAILED,
    BatchStatus.CANCELLED: EventType.BATCH_CANCELLED,
}


class DeliveryStatus(StrEnum):
    """The states of a delivery; the last two are final until it is replayed."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class DisabledReason(StrEnum):
    """Why nothing is posted to an endpoint."""

    BY_REQUEST = "by_request"
    GONE = "gone"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a tenant; ``data`` holds ids, a short result and links."""

    type: EventType
    data: Mapping[str, Any]
    occurred_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def payload(self) -> str:
        """The body that is posted, as JSON; half characters, which no text holds, are replaced."""
        body = {"type": self.type, "timestamp": self.occurred_at.isoformat(), "data": self.data}
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        return text.encode(errors="replace").decode()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address that events are posted to; ``event_types`` empty: all.

    ``failing_since`` is the first failure after the last success.
    """

    id: UUID
    tenant_id: UUID
    url: str
    description: str | None
    event_types: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    disabled_at: datetime | None = None
    disabled_reason: str | None = None
    failing_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class EndpointChange:
    """What is to change; None leaves a field as it is."""

    url: str | None = None
    description: str | None = None
    event_types: tuple[EventType, ...] | None = None
    enabled: bool | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one endpoint, as a list shows it; its id is the ``webhook-id``."""

    id: UUID
    event_type: str
    payload: str
    status: DeliveryStatus
    attempts: int
    created_at: datetime
    next_attempt_at: datetime | None
    last_attempt_at: datetime | None
    response_status: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A delivery that this process sends now.

    ``sealed`` are the secrets that sign it; ``trace`` is that of what it tells of.
    """

    id: UUID
    tenant_id: UUID
    endpoint_id: UUID | None
    url: str
    payload: str
    attempts: int
    expires_at: datetime
    sealed: tuple[bytes, ...] = ()
    trace: TraceContext = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AttemptFailure:
    """Why an attempt failed. ``retry_at`` None: it was the last one; ``gone``: answered by 410."""

    error: str
    status: int | None
    retry_at: datetime | None
    gone: bool = False


def new_secret() -> str:
    """Return a new signing secret: ``whsec_`` and base64 of 32 random bytes."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signed_headers(
    id: UUID, at: datetime, body: bytes, signing_secrets: Sequence[str]
) -> dict[str, str]:
    """Return the headers of an attempt, with one signature for each secret."""
    timestamp = str(int(at.timestamp()))
    headers = {"webhook-id": str(id), "webhook-timestamp": timestamp}
    if signing_secrets:
        signed = b".".join((str(id).encode(), timestamp.encode(), body))
        headers["webhook-signature"] = " ".join(
            _signature(secret, signed) for secret in signing_secrets
        )
    return headers


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def next_attempt(
    attempts: int, now: datetime, expires_at: datetime, retry_after: float | None, jitter: float
) -> datetime | None:
    """Return when to try again after so many attempts; None if that is too late.

    ``retry_after`` is what the endpoint asks for, honoured up to the longest delay; ``jitter`` is
    from 0 to 1.
    """
    delay = min(LONGEST_DELAY, FIRST_DELAY * 4.0 ** min(attempts - 1, 20))
    delay = max(delay, min(retry_after or 0.0, LONGEST_DELAY)) * (1 + JITTER * jitter)
    then = now + timedelta(seconds=delay)
    return then if then < expires_at else None


def image_described(analysis: Analysis) -> Event:
    """Return the event of a picture of the library that has a new description."""
    tags = [tag[:MAX_TAG] for tag in analysis.tags[:MAX_TAGS]]
    data = {
        **_of_image(analysis),
        "level": analysis.answered_level,
        "description": analysis.description and analysis.description[:MAX_DESCRIPTION],
        "tags": tags,
        "confidence": analysis.confidence,
    }
    return Event(EventType.IMAGE_DESCRIBED, data)


def image_failed(analysis: Analysis, failure: Failure) -> Event:
    """Return the event of a picture of the library that could not be described."""
    data = {
        **_of_image(analysis),
        "error": {
            "type": failure.type,
            "message": failure.message[:MAX_DESCRIPTION],
            "retryable": failure.retryable,
        },
    }
    return Event(EventType.IMAGE_FAILED, data)


def _of_image(analysis: Analysis) -> dict[str, Any]:
    return {
        "image_id": str(analysis.image_id),
        "analysis_id": str(analysis.id),
        "batch_id": analysis.request_id and str(analysis.request_id),
        "url": f"/api/v2/user-files/{analysis.image_id}",
    }


def session_completed(session: Session) -> Event:
    """Return the event of an upload session whose last file is final."""
    data = {
        "session_id": str(session.id),
        "total": session.total,
        "completed": session.completed,
        "failed": session.failed,
        "skipped": session.skipped,
        "cancelled": session.cancelled_at is not None,
        "url": f"/api/v2/uploads/sessions/{session.id}/status",
    }
    return Event(EventType.SESSION_COMPLETED, data)


def batch_summary(batch: Batch, status: BatchStatus, progress: Progress) -> dict[str, Any]:
    """Return what is told of a batch that has ended; also the body for its ``webhook_url``."""
    return {
        "batch_id": str(batch.id),
        "kind": batch.kind,
        "status": status,
        "total_items": batch.total,
        "successful_items": progress.count(Status.COMPLETED),
        "failed_items": progress.count(Status.FAILED),
        "skipped_items": progress.count(Status.SKIPPED),
    }


def batch_ended(batch: Batch, status: BatchStatus, progress: Progress) -> Event:
    """Return the event of a batch whose last item is final."""
    data = batch_summary(batch, status, progress) | {"url": f"/api/v2/batch/{batch.id}"}
    return Event(_BATCH_EVENTS.get(status, EventType.BATCH_COMPLETED), data)


def fetch_ended(id: UUID, *, answered: int, errors: int, failure: str | None) -> Event:
    """Return the event of a fetch job whose last picture is final."""
    data = {
        "request_id": str(id),
        "answered": answered,
        "errors": errors,
        "message": failure and failure[:MAX_DESCRIPTION],
        "url": f"/api/response/{id}",
    }
    type = EventType.FETCH_COMPLETED if failure is None else EventType.FETCH_FAILED
    return Event(type, data)


def export_ended(id: UUID, *, records: int | None, failure: str | None = None) -> Event:
    """Return the event of an export that has been written, or could not be."""
    data = {
        "export_id": str(id),
        "records": records,
        "message": failure and failure[:MAX_DESCRIPTION],
        "url": f"/api/v2/data/export/{id}",
    }
    type = EventType.EXPORT_COMPLETED if failure is None else EventType.EXPORT_FAILED
    return Event(type, data)
