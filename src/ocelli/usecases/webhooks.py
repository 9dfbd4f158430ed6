"""A tenant's webhook endpoints, their secrets, and what was delivered to them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from ocelli.domain.audit import AuditEvent, AuditType
from ocelli.domain.errors import Conflict, InvalidUrl, Unavailable, ValidationFailed
from ocelli.domain.webhooks import (
    MAX_ENDPOINTS,
    MAX_SECRETS,
    Event,
    EventType,
    new_secret,
)
from ocelli.media.urls import checked_url
from ocelli.usecases.lookup import existing, parse_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from uuid import UUID

    from ocelli.domain.audit import Actor
    from ocelli.domain.paging import PageRequest
    from ocelli.domain.ports_storage import Sealing
    from ocelli.domain.webhooks import Delivery, DeliveryStatus, Endpoint, EndpointChange
    from ocelli.storage.postgres.database import PostgresDatabase, PostgresTransaction

ENDPOINT = "Webhook"
DELIVERY = "Delivery"


class Webhooks:
    """Use cases around the endpoints of a tenant; each raises NotFound for an unknown id."""

    def __init__(self, database: PostgresDatabase, sealing: Sealing) -> None:
        self._database = database
        self._sealing = sealing

    async def create(self, by: Actor, draft: EndpointChange) -> tuple[Endpoint, str]:
        """Create an endpoint; return it and its secret, which cannot be read again.

        Raises ValidationFailed for an address that is none, Conflict if there are too many.
        """
        _check(draft)
        id, secret = uuid.uuid4(), new_secret()
        sealed = self._seal(by.tenant_id, id, secret)
        async with self._database.transaction() as tx:
            if await tx.webhooks.count(by.tenant_id) >= MAX_ENDPOINTS:
                raise Conflict(f"There are {MAX_ENDPOINTS} webhooks; delete one first.")
            endpoint = await tx.webhooks.add(by.tenant_id, id, draft, sealed)
            await _record(tx, by, AuditType.WEBHOOK_CREATED, endpoint)
        return endpoint, secret

    async def all(self, tenant_id: UUID) -> Sequence[Endpoint]:
        """Return the endpoints, oldest first."""
        async with self._database.autocommit() as tx:
            return await tx.webhooks.all(tenant_id)

    async def get(self, tenant_id: UUID, id: str) -> Endpoint:
        """Return one."""
        async with self._database.autocommit() as tx:
            return await _endpoint(tx, tenant_id, id)

    async def change(self, by: Actor, id: str, change: EndpointChange) -> Endpoint:
        """Change what is given. Raises ValidationFailed for an address that is none."""
        _check(change)
        async with self._database.transaction() as tx:
            changed = existing(
                await tx.webhooks.change(by.tenant_id, parse_id(ENDPOINT, id), change), ENDPOINT, id
            )
            await _record(tx, by, AuditType.WEBHOOK_UPDATED, changed)
        return changed

    async def delete(self, by: Actor, id: str) -> None:
        """Delete one, with what is still to be delivered to it."""
        async with self._database.transaction() as tx:
            endpoint = await _endpoint(tx, by.tenant_id, id, lock=True)
            await tx.webhooks.delete(by.tenant_id, endpoint.id)
            await _record(tx, by, AuditType.WEBHOOK_DELETED, endpoint)

    async def rotate_secret(
        self, by: Actor, id: str, *, overlap: timedelta
    ) -> tuple[Endpoint, str]:
        """Create a new secret; the earlier ones sign beside it for ``overlap``.

        Raises Conflict if too many are valid.
        """
        secret = new_secret()
        async with self._database.transaction() as tx:
            endpoint = await _endpoint(tx, by.tenant_id, id, lock=True)
            if await tx.webhooks.expire_secrets(endpoint.id, overlap) >= MAX_SECRETS:
                raise Conflict(
                    f"{MAX_SECRETS} secrets are valid. Wait until one ends, or end them now: "
                    "expire_after_seconds 0."
                )
            sealed = self._seal(by.tenant_id, endpoint.id, secret)
            await tx.webhooks.add_secret(endpoint.id, sealed)
            await _record(tx, by, AuditType.WEBHOOK_UPDATED, endpoint)
        return endpoint, secret

    async def send_test(self, tenant_id: UUID, id: str) -> Delivery:
        """Enqueue a test event, whichever types the endpoint wants. Raises Conflict if disabled."""
        async with self._database.transaction() as tx:
            endpoint = await _endpoint(tx, tenant_id, id, lock=True)
            _check_enabled(endpoint)
            event = Event(EventType.TEST, {"webhook_id": str(endpoint.id)})
            return await tx.webhooks.emit_to(endpoint, event)

    async def deliveries(
        self, tenant_id: UUID, id: str, status: DeliveryStatus | None, page: PageRequest
    ) -> tuple[Sequence[Delivery], bool]:
        """Return a page, newest first, and if others follow; the key is (created_at, id)."""
        async with self._database.autocommit() as tx:
            endpoint = await _endpoint(tx, tenant_id, id)
            return page.cut(await tx.webhooks.deliveries(endpoint.id, status, page))

    async def replay(self, tenant_id: UUID, id: str, delivery_id: str) -> Delivery:
        """Send a delivery again, by the same id. Raises Conflict if the endpoint is disabled."""
        async with self._database.transaction() as tx:
            endpoint = await _endpoint(tx, tenant_id, id, lock=True)
            parsed = parse_id(DELIVERY, delivery_id)
            _check_enabled(endpoint)
            return existing(await tx.webhooks.replay(endpoint.id, parsed), DELIVERY, delivery_id)

    def _seal(self, tenant_id: UUID, endpoint_id: UUID, secret: str) -> bytes:
        return self._sealing.seal(secret.encode(), context=_context(tenant_id, endpoint_id))


def open_secret(sealing: Sealing, tenant_id: UUID, endpoint_id: UUID, sealed: bytes) -> str:
    """Decrypt a secret. Raises Unavailable if it was sealed with another secret of the server."""
    try:
        return sealing.open(sealed, context=_context(tenant_id, endpoint_id)).decode()
    except ValueError:
        raise Unavailable("The secret cannot be read any more: rotate it.") from None


def _context(tenant_id: UUID, endpoint_id: UUID) -> str:
    return f"webhook:{tenant_id}:{endpoint_id}"


def _check(change: EndpointChange) -> None:
    if change.url is not None:
        try:
            checked_url(change.url)
        except InvalidUrl as error:
            raise ValidationFailed(error.message, field="url") from None


def _check_enabled(endpoint: Endpoint) -> None:
    if endpoint.disabled_at is not None:
        raise Conflict("The webhook is disabled; enable it first.")


async def _endpoint(
    tx: PostgresTransaction, tenant_id: UUID, id: str, *, lock: bool = False
) -> Endpoint:
    return existing(
        await tx.webhooks.get(tenant_id, parse_id(ENDPOINT, id), lock=lock), ENDPOINT, id
    )


async def _record(tx: PostgresTransaction, by: Actor, type: AuditType, endpoint: Endpoint) -> None:
    await tx.audit.add(AuditEvent(by, type, ("webhook", str(endpoint.id))))
