"""Send the deliveries of webhooks that are due."""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

from ocelli.domain.audit import Actor, AuditEvent, AuditType, Severity
from ocelli.domain.errors import FetchFailed, InvalidUrl, Unavailable
from ocelli.domain.webhooks import AttemptFailure, next_attempt, signed_headers
from ocelli.usecases.webhooks import open_secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocelli.domain.ports_fetch import PostAnswer, Poster
    from ocelli.domain.ports_storage import Sealing
    from ocelli.domain.webhooks import ClaimedDelivery, DisabledReason
    from ocelli.storage.postgres.database import PostgresDatabase

log = logging.getLogger(__name__)

POLL_INTERVAL = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class SendingLimits:
    """How many deliveries are sent at once: by one process, and by all of them together.

    After ``lease`` seconds, which must be more than an attempt takes, a delivery is sent again
    whose sender died.
    """

    at_once: int = 32
    per_tenant: int = 8
    per_endpoint: int = 4
    lease: timedelta = timedelta(seconds=60)


class WebhookSender:
    """Sends each delivery at least once, until it is accepted or a day has passed.

    ``on_attempt`` is called with whether an attempt succeeded.
    """

    def __init__(
        self,
        database: PostgresDatabase,
        poster: Poster,
        sealing: Sealing,
        limits: SendingLimits = SendingLimits(),
        on_attempt: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._poster = poster
        self._sealing = sealing
        self._limits = limits
        self._on_attempt = on_attempt
        self._sending: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Send until ``stop`` is set. What is being sent then is sent again after its lease."""
        stopping = asyncio.create_task(stop.wait(), name="stopping")
        try:
            while not stop.is_set():
                try:
                    await self.begin_due()
                except Exception as error:  # the next round tries again
                    log.warning(
                        "webhooks: %s", error if isinstance(error, Unavailable) else repr(error)
                    )
                # One that is answered makes room for the next.
                await asyncio.wait(
                    {stopping, *self._sending},
                    timeout=POLL_INTERVAL,
                    return_when=asyncio.FIRST_COMPLETED,
                )
        finally:
            for task in (stopping, *self._sending):
                task.cancel()
            await asyncio.gather(stopping, *self._sending, return_exceptions=True)

    async def send_due(self) -> int:
        """Send what is due now, and return how many when all are answered."""
        number = await self.begin_due()
        await asyncio.gather(*self._sending)
        return number

    async def begin_due(self) -> int:
        """Begin to send what is due, within the limits; return how many were begun."""
        free = self._limits.at_once - len(self._sending)
        if free <= 0:
            return 0
        async with self._database.transaction() as tx:
            claimed = await tx.webhooks.claim(
                limit=free,
                per_tenant=self._limits.per_tenant,
                per_endpoint=self._limits.per_endpoint,
                lease=self._limits.lease,
            )
        for delivery in claimed:
            task = asyncio.create_task(self._send(delivery), name="webhook")
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        return len(claimed)

    async def _send(self, delivery: ClaimedDelivery) -> None:
        try:
            outcome = await self._attempt(delivery)
            self._on_attempt(not isinstance(outcome, AttemptFailure))
            async with self._database.transaction() as tx:
                if isinstance(outcome, AttemptFailure):
                    disabled = await tx.webhooks.not_delivered(delivery, outcome)
                    if disabled is not None:
                        await tx.audit.add(_disabled(delivery, disabled, outcome.error))
                else:
                    await tx.webhooks.delivered(delivery, outcome.status)
        except Unavailable as error:  # it is sent again after its lease
            log.warning("webhooks: %s", error)

    async def _attempt(self, delivery: ClaimedDelivery) -> PostAnswer | AttemptFailure:
        body = delivery.payload.encode()
        try:
            signing = self._secrets(delivery)
            headers = signed_headers(delivery.id, datetime.now(UTC), body, signing)
            answer = await self._poster.post(delivery.url, body, {**delivery.trace, **headers})
        except (InvalidUrl, FetchFailed, Unavailable) as error:
            return self._failure(delivery, error.message)
        except Exception:
            log.exception("webhooks: delivery %s", delivery.id)
            return self._failure(delivery, "The request could not be sent.")
        if HTTPStatus(200) <= answer.status < HTTPStatus(300):
            return answer
        return self._failure(delivery, f"The address answers with status {answer.status}.", answer)

    def _secrets(self, delivery: ClaimedDelivery) -> list[str]:
        if delivery.endpoint_id is None:
            return []
        return [
            open_secret(self._sealing, delivery.tenant_id, delivery.endpoint_id, each)
            for each in delivery.sealed
        ]

    def _failure(
        self, delivery: ClaimedDelivery, message: str, answer: PostAnswer | None = None
    ) -> AttemptFailure:
        status = answer.status if answer else None
        gone = status == HTTPStatus.GONE
        retry_at = None
        if not gone:
            retry_at = next_attempt(
                delivery.attempts,
                datetime.now(UTC),
                delivery.expires_at,
                answer.retry_after if answer else None,
                secrets.randbelow(1_000) / 1_000,
            )
        return AttemptFailure(message, status, retry_at, gone)


def _disabled(delivery: ClaimedDelivery, reason: DisabledReason, error: str) -> AuditEvent:
    return AuditEvent(
        Actor(delivery.tenant_id),
        AuditType.WEBHOOK_DISABLED,
        ("webhook", str(delivery.endpoint_id)),
        {"reason": reason},
        severity=Severity.WARNING,
        error=error,
    )
