"""The tables ``webhook_endpoints``, ``webhook_secrets`` and ``webhook_deliveries``.

Deliveries are the outbox of events: written in the transaction of what they are about.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb

from ocelli.domain.tracing import current_context
from ocelli.domain.webhooks import (
    DISABLED_AFTER,
    ClaimedDelivery,
    Delivery,
    DeliveryStatus,
    DisabledReason,
    Endpoint,
)
from ocelli.storage.postgres.paging import PAGE, older, page_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from uuid import UUID

    from ocelli.domain.paging import PageRequest
    from ocelli.domain.webhooks import AttemptFailure, EndpointChange, Event
    from ocelli.storage.postgres.rows import Connection, Row

# One at a time, so that the limits hold over all senders. Each endpoint that is not disabled is a
# lane, and so is each tenant, for addresses that batches name. Of each lane the first few that are
# due are looked at, however many wait; tenants take turns.
_CLAIM = """
WITH busy AS (
    SELECT lane, tenant_id, count(*) AS sent FROM webhook_deliveries
    WHERE status = 'pending' AND claimed_until > clock_timestamp() GROUP BY lane, tenant_id
), lanes AS (
    SELECT id AS lane FROM webhook_endpoints WHERE disabled_at IS NULL
    UNION ALL SELECT id FROM tenants
), due AS (
    SELECT d.id, d.tenant_id, d.next_attempt_at
    FROM lanes l LEFT JOIN busy b USING (lane) CROSS JOIN LATERAL (
        SELECT id, tenant_id, next_attempt_at FROM webhook_deliveries
        WHERE lane = l.lane AND status = 'pending' AND next_attempt_at <= clock_timestamp()
        ORDER BY next_attempt_at LIMIT greatest(0, %(per_endpoint)s - coalesce(b.sent, 0))) d
), placed AS (
    SELECT id, next_attempt_at, row_number() OVER (PARTITION BY tenant_id ORDER BY next_attempt_at)
        + coalesce((SELECT sum(sent) FROM busy b WHERE b.tenant_id = due.tenant_id), 0) AS place
    FROM due
), chosen AS (
    SELECT id FROM placed WHERE place <= %(per_tenant)s
    ORDER BY place, next_attempt_at LIMIT %(limit)s
)
UPDATE webhook_deliveries d SET attempts = attempts + 1, last_attempt_at = clock_timestamp(),
    claimed_until = clock_timestamp() + %(lease)s, next_attempt_at = clock_timestamp() + %(lease)s
FROM chosen WHERE d.id = chosen.id RETURNING d.*,
    coalesce(d.url, (SELECT url FROM webhook_endpoints e WHERE e.id = d.endpoint_id)) AS target
"""


class PostgresWebhooks:
    """The repository of endpoints and of what is, and was, delivered to them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def emit(self, tenant_id: UUID, event: Event) -> None:
        """Enqueue an event for each of the tenant's endpoints that wants it."""
        await self._connection.execute(
            "INSERT INTO webhook_deliveries (tenant_id, endpoint_id, event_type, payload,"
            " trace_context)"
            " SELECT tenant_id, id, %(type)s, %(payload)s, %(trace)s FROM webhook_endpoints"
            " WHERE tenant_id = %(tenant)s AND disabled_at IS NULL"
            " AND (event_types = '{}' OR %(type)s = ANY(event_types)) FOR KEY SHARE",
            {"tenant": tenant_id, "type": event.type, "payload": event.payload, "trace": _trace()},
        )

    async def emit_to_url(self, tenant_id: UUID, url: str, type: str, payload: str) -> None:
        """Enqueue a body for an address that is no endpoint."""
        await self._connection.execute(
            "INSERT INTO webhook_deliveries (tenant_id, url, event_type, payload, trace_context)"
            " VALUES (%s, %s, %s, %s, %s)",
            (tenant_id, url, type, payload, _trace()),
        )

    async def emit_to(self, endpoint: Endpoint, event: Event) -> Delivery:
        """Enqueue an event for this endpoint, whichever types it wants."""
        rows = await self._rows(
            "INSERT INTO webhook_deliveries (tenant_id, endpoint_id, event_type, payload,"
            " trace_context) VALUES (%s, %s, %s, %s, %s) RETURNING *",
            (endpoint.tenant_id, endpoint.id, event.type, event.payload, _trace()),
        )
        return _to_delivery(rows[0])

    async def count(self, tenant_id: UUID) -> int:
        """Count the endpoints; others that count wait until this transaction ends."""
        await self._connection.execute(
            "SELECT FROM tenants WHERE id = %s FOR NO KEY UPDATE", (tenant_id,)
        )
        rows = await self._rows(
            "SELECT count(*) AS number FROM webhook_endpoints WHERE tenant_id = %s", (tenant_id,)
        )
        return int(rows[0]["number"])

    async def add(
        self, tenant_id: UUID, id: UUID, change: EndpointChange, sealed: bytes
    ) -> Endpoint:
        """Insert an endpoint with its first secret."""
        rows = await self._rows(
            "INSERT INTO webhook_endpoints (id, tenant_id, url, description, event_types)"
            " VALUES (%s, %s, %s, %s, %s) RETURNING *",
            (id, tenant_id, change.url, change.description or None, [*(change.event_types or ())]),
        )
        await self.add_secret(id, sealed)
        return _to_endpoint(rows[0])

    async def all(self, tenant_id: UUID) -> Sequence[Endpoint]:
        """Return the tenant's endpoints, oldest first."""
        rows = await self._rows(
            "SELECT * FROM webhook_endpoints WHERE tenant_id = %s ORDER BY created_at, id",
            (tenant_id,),
        )
        return [_to_endpoint(row) for row in rows]

    async def get(self, tenant_id: UUID, id: UUID, *, lock: bool = False) -> Endpoint | None:
        """Return an endpoint; None if the tenant has none of that id."""
        rows = await self._rows(
            "SELECT * FROM webhook_endpoints WHERE tenant_id = %s AND id = %s"
            + (" FOR UPDATE" if lock else ""),
            (tenant_id, id),
        )
        return _to_endpoint(rows[0]) if rows else None

    async def change(self, tenant_id: UUID, id: UUID, change: EndpointChange) -> Endpoint | None:
        """Change what is given; one that is enabled again begins without failures."""
        types = None if change.event_types is None else [*change.event_types]
        rows = await self._rows(
            "UPDATE webhook_endpoints SET url = coalesce(%(url)s, url),"
            " description = nullif(coalesce(%(description)s, description), ''),"
            " event_types = coalesce(%(types)s::text[], event_types),"
            " failing_since = CASE WHEN %(enabled)s THEN NULL ELSE failing_since END,"
            " disabled_reason = CASE WHEN %(enabled)s THEN NULL WHEN NOT %(enabled)s"
            "  THEN coalesce(disabled_reason, %(reason)s) ELSE disabled_reason END,"
            " disabled_at = CASE WHEN %(enabled)s THEN NULL WHEN NOT %(enabled)s"
            "  THEN coalesce(disabled_at, clock_timestamp()) ELSE disabled_at END,"
            " updated_at = clock_timestamp() WHERE tenant_id = %(tenant)s AND id = %(id)s"
            " RETURNING *",
            {
                "tenant": tenant_id,
                "id": id,
                "url": change.url,
                "description": change.description,
                "types": types,
                "enabled": change.enabled,
                "reason": DisabledReason.BY_REQUEST,
            },
        )
        return _to_endpoint(rows[0]) if rows else None

    async def delete(self, tenant_id: UUID, id: UUID) -> bool:
        """Delete an endpoint with its secrets and deliveries; False if there was none."""
        cursor = await self._connection.execute(
            "DELETE FROM webhook_endpoints WHERE tenant_id = %s AND id = %s", (tenant_id, id)
        )
        return cursor.rowcount == 1

    async def add_secret(self, endpoint_id: UUID, sealed: bytes) -> None:
        """Store a secret, valid until others say otherwise."""
        await self._connection.execute(
            "INSERT INTO webhook_secrets (endpoint_id, sealed) VALUES (%s, %s)",
            (endpoint_id, sealed),
        )

    async def expire_secrets(self, endpoint_id: UUID, after: timedelta) -> int:
        """End the secrets after so long, unless they end before; return how many stay valid."""
        await self._connection.execute(
            "UPDATE webhook_secrets SET expires_at = least(expires_at, clock_timestamp() + %s)"
            " WHERE endpoint_id = %s",
            (after, endpoint_id),
        )
        await self._connection.execute(
            "DELETE FROM webhook_secrets WHERE endpoint_id = %s"
            " AND expires_at <= clock_timestamp()",
            (endpoint_id,),
        )
        rows = await self._rows(
            "SELECT count(*) AS number FROM webhook_secrets WHERE endpoint_id = %s", (endpoint_id,)
        )
        return int(rows[0]["number"])

    async def deliveries(
        self, endpoint_id: UUID, status: DeliveryStatus | None, page: PageRequest
    ) -> Sequence[Delivery]:
        """Return a page of deliveries, newest first; the key of a row is (created_at, id)."""
        rows = await self._rows(
            "SELECT * FROM webhook_deliveries WHERE endpoint_id = %(endpoint)s"
            " AND (%(status)s::text IS NULL OR status = %(status)s)"
            f" AND {older(page)} ORDER BY created_at DESC, id {PAGE}",
            {"endpoint": endpoint_id, "status": status, **page_values(page)},
        )
        return [_to_delivery(row) for row in rows]

    async def replay(self, endpoint_id: UUID, id: UUID) -> Delivery | None:
        """Make a delivery due now, for another day; None if the endpoint has none of that id."""
        rows = await self._rows(
            "UPDATE webhook_deliveries SET status = 'pending', attempts = 0, ended_at = NULL,"
            " claimed_until = NULL, next_attempt_at = clock_timestamp(),"
            " expires_at = clock_timestamp() + interval '24 hours'"
            " WHERE endpoint_id = %s AND id = %s RETURNING *",
            (endpoint_id, id),
        )
        return _to_delivery(rows[0]) if rows else None

    async def claim(
        self, *, limit: int, per_tenant: int, per_endpoint: int, lease: timedelta
    ) -> Sequence[ClaimedDelivery]:
        """Take deliveries that are due, which are due again after ``lease``.

        ``per_tenant`` and ``per_endpoint`` bound how many are being sent at once, by all senders.
        """
        await self._connection.execute("SELECT pg_advisory_xact_lock(hashtext('ocelli_webhooks'))")
        rows = await self._rows(
            _CLAIM,
            {
                "limit": limit,
                "per_tenant": per_tenant,
                "per_endpoint": per_endpoint,
                "lease": lease,
            },
        )
        sealed = await self._secrets({row["endpoint_id"] for row in rows if row["endpoint_id"]})
        return [
            ClaimedDelivery(
                id=row["id"],
                tenant_id=row["tenant_id"],
                endpoint_id=row["endpoint_id"],
                url=row["target"],
                payload=row["payload"],
                attempts=row["attempts"],
                expires_at=row["expires_at"],
                sealed=tuple(sealed[row["endpoint_id"]]),
                trace=row["trace_context"],
            )
            for row in rows
        ]

    async def _secrets(self, endpoint_ids: set[UUID]) -> Mapping[UUID, list[bytes]]:
        found: defaultdict[UUID, list[bytes]] = defaultdict(list)
        if endpoint_ids:
            for row in await self._rows(
                "SELECT endpoint_id, sealed FROM webhook_secrets WHERE endpoint_id = ANY(%s)"
                " AND (expires_at IS NULL OR expires_at > clock_timestamp())"
                " ORDER BY created_at DESC",
                ([*endpoint_ids],),
            ):
                found[row["endpoint_id"]].append(row["sealed"])
        return found

    async def delivered(self, delivery: ClaimedDelivery, status: int) -> None:
        """End a delivery that was accepted; an outdated claim changes nothing."""
        await self._connection.execute(
            "UPDATE webhook_deliveries SET status = 'delivered', response_status = %s,"
            " error = NULL, claimed_until = NULL, ended_at = clock_timestamp()"
            " WHERE id = %s AND status = 'pending' AND attempts = %s",
            (status, delivery.id, delivery.attempts),
        )
        await self._connection.execute(
            "UPDATE webhook_endpoints SET failing_since = NULL"
            " WHERE id = %s AND failing_since IS NOT NULL",
            (delivery.endpoint_id,),
        )

    async def not_delivered(
        self, delivery: ClaimedDelivery, failure: AttemptFailure
    ) -> DisabledReason | None:
        """Note a failed attempt; return why that disabled the endpoint, if it did."""
        await self._connection.execute(
            "UPDATE webhook_deliveries SET error = %(error)s, response_status = %(code)s,"
            " claimed_until = NULL, next_attempt_at = coalesce(%(retry)s, next_attempt_at),"
            " status = CASE WHEN %(retry)s::timestamptz IS NULL THEN 'failed' ELSE status END,"
            " ended_at = CASE WHEN %(retry)s::timestamptz IS NULL THEN clock_timestamp() END"
            " WHERE id = %(id)s AND status = 'pending' AND attempts = %(attempts)s",
            {
                "id": delivery.id,
                "attempts": delivery.attempts,
                "error": failure.error,
                "code": failure.status,
                "retry": failure.retry_at,
            },
        )
        rows = await self._rows(
            "UPDATE webhook_endpoints SET"
            " failing_since = coalesce(failing_since, clock_timestamp()),"
            " disabled_at = CASE WHEN %(gone)s OR failing_since < clock_timestamp() - %(long)s"
            "  THEN clock_timestamp() END,"
            " disabled_reason = CASE WHEN %(gone)s THEN %(by_410)s"
            "  WHEN failing_since < clock_timestamp() - %(long)s THEN %(failing)s END"
            " WHERE id = %(id)s AND disabled_at IS NULL AND (%(gone)s OR failing_since IS NULL"
            "  OR failing_since < clock_timestamp() - %(long)s) RETURNING disabled_reason",
            {
                "id": delivery.endpoint_id,
                "gone": failure.gone,
                "long": DISABLED_AFTER,
                "by_410": DisabledReason.GONE,
                "failing": DisabledReason.FAILING,
            },
        )
        reason = rows[0]["disabled_reason"] if rows else None
        return reason and DisabledReason(reason)

    async def purge(self, *, older_than: float) -> None:
        """Give up what has expired, and delete what ended ``older_than`` seconds ago."""
        await self._connection.execute(
            "UPDATE webhook_deliveries SET status = 'failed', ended_at = clock_timestamp()"
            " WHERE status = 'pending' AND expires_at < clock_timestamp()"
            " AND coalesce(claimed_until < clock_timestamp(), true)"
        )
        await self._connection.execute(
            "DELETE FROM webhook_deliveries WHERE ended_at < now() - make_interval(secs => %s)",
            (older_than,),
        )

    async def _rows(self, query: str, parameters: tuple[Any, ...] | dict[str, Any]) -> list[Row]:
        cursor = await self._connection.execute(query.encode(), parameters)
        return await cursor.fetchall()


def _to_endpoint(row: Row) -> Endpoint:
    return Endpoint(
        id=row["id"],
        tenant_id=row["tenant_id"],
        url=row["url"],
        description=row["description"],
        event_types=tuple(row["event_types"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        disabled_at=row["disabled_at"],
        disabled_reason=row["disabled_reason"],
        failing_since=row["failing_since"],
    )


def _to_delivery(row: Row) -> Delivery:
    pending = row["status"] == DeliveryStatus.PENDING
    return Delivery(
        id=row["id"],
        event_type=row["event_type"],
        payload=row["payload"],
        status=DeliveryStatus(row["status"]),
        attempts=row["attempts"],
        created_at=row["created_at"],
        next_attempt_at=row["next_attempt_at"] if pending else None,
        last_attempt_at=row["last_attempt_at"],
        response_status=row["response_status"],
        error=row["error"],
    )


def _trace() -> Jsonb:
    """Return the trace that what is being told of belongs to."""
    return Jsonb(dict(current_context()))
