"""Read and change what a tenant says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.domain.audit import Actor, AuditEvent, AuditType
from ocelli.usecases.keys import check_json

if TYPE_CHECKING:
    from uuid import UUID

    from ocelli.domain.accounts import ApiKey
    from ocelli.domain.tenant_settings import SettingsChange, TenantSettings
    from ocelli.storage.postgres.database import PostgresDatabase


class SettingsOfTenants:
    """Use cases around the settings of a tenant."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def get(self, tenant_id: UUID) -> TenantSettings:
        """Return the settings."""
        async with self._database.autocommit() as tx:
            return await tx.tenant_settings.get(tenant_id)

    async def change(
        self, by: ApiKey, change: SettingsChange, address: str | None = None
    ) -> TenantSettings:
        """Set what is given, and return all. Raises ValidationFailed."""
        check_json(change.custom_config or {}, "custom_config")
        tenant_id = by.tenant.id
        async with self._database.transaction() as tx:
            if changed := change.changed:
                await tx.tenant_settings.change(tenant_id, change)
                resource = ("tenant", str(tenant_id))
                told = {"changed": changed}
                event = AuditEvent(Actor.of(by, address), AuditType.TENANT_UPDATED, resource, told)
                await tx.audit.add(event)
            return await tx.tenant_settings.get(tenant_id)
