"""What a tenant says of itself, in the table ``tenants``."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from psycopg.types.json import Jsonb

from ocelli.domain.accounts import Tier
from ocelli.domain.erasures import RetentionDays
from ocelli.domain.tenant_settings import TenantSettings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.domain.tenant_settings import SettingsChange
    from ocelli.storage.postgres.rows import Connection


class PostgresTenantSettings:
    """The settings of tenants."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get(self, tenant_id: UUID) -> TenantSettings:
        """Return the settings of a tenant that exists."""
        month = datetime.now(UTC).date().replace(day=1)
        cursor = await self._connection.execute(
            "SELECT t.*, coalesce(sum(u.credits), 0)::bigint AS total,"
            " coalesce(sum(u.credits) FILTER (WHERE u.month = %s), 0)::bigint AS this_month,"
            " (SELECT sum(dollars) FROM usage_calls c WHERE c.tenant_id = t.id) AS total_cost,"
            " (SELECT sum(dollars) FROM usage_calls c WHERE c.tenant_id = t.id"
            " AND c.day >= %s) AS month_cost"
            " FROM tenants t LEFT JOIN usage_months u ON u.tenant_id = t.id WHERE t.id = %s"
            " GROUP BY t.id",
            (month, month, tenant_id),
        )
        row = await cursor.fetchone()
        assert row is not None
        return TenantSettings(
            id=row["id"],
            name=row["display_name"] or row["name"],
            created_at=row["created_at"],
            updated_at=row["updated_at"],
            tier=Tier(row["tier"]),
            webhook_url=row["webhook_url"],
            allowed_providers=tuple(row["allowed_providers"]),
            allowed_domains=tuple(row["allowed_domains"]),
            custom_config=row["custom_config"],
            month_credits=row["this_month"],
            total_credits=row["total"],
            month_cost=float(row["month_cost"] or 0),
            total_cost=float(row["total_cost"] or 0),
            retention_days=RetentionDays(**row["retention_days"]),
        )

    async def change(self, tenant_id: UUID, change: SettingsChange) -> None:
        """Set what is given."""
        await self._connection.execute(
            "UPDATE tenants SET display_name = coalesce(%(name)s, display_name),"
            " webhook_url = coalesce(%(webhook)s, webhook_url),"
            " allowed_providers = coalesce(%(providers)s, allowed_providers),"
            " allowed_domains = coalesce(%(domains)s, allowed_domains),"
            " custom_config = coalesce(%(config)s, custom_config),"
            " retention_days = coalesce(%(retention)s, retention_days),"
            " updated_at = now() WHERE id = %(id)s",
            {
                "id": tenant_id,
                "name": change.name,
                "webhook": change.webhook_url,
                "providers": _list(change.allowed_providers),
                "domains": _list(change.allowed_domains),
                "retention": _days(change.retention_days),
                "config": None if change.custom_config is None else Jsonb(change.custom_config),
            },
        )


def _days(retention: RetentionDays | None) -> Jsonb | None:
    """Return the kinds that are not kept for ever, so that an older server knows all it reads."""
    if retention is None:
        return None
    return Jsonb({kind: days for kind, days in asdict(retention).items() if days is not None})


def _list(values: Sequence[str] | None) -> list[str] | None:
    return None if values is None else list(values)
