"""Read and change what a tenant says of itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ocelli.domain.audit import Actor, AuditEvent, AuditType
from ocelli.domain.tenant_settings import SettingsChange
from ocelli.usecases.keys import check_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from ocelli.domain.accounts import ApiKey
    from ocelli.domain.erasures import RetentionDays
    from ocelli.domain.tenant_settings import TenantSettings
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
        return await self._change(Actor.of(by, address), change)

    async def change_retention(
        self, tenant: str, change: Mapping[str, int]
    ) -> RetentionDays | None:
        """Set for the operator how long a tenant's things are kept, by kind; 0: for ever.

        What is not named stays. Returns all of it; None without a tenant of that name.
        """
        async with self._database.transaction() as tx:
            found = await tx.accounts.tenant(tenant)
            if found is None:
                return None
            before = (await tx.tenant_settings.get(found.id)).retention_days
        wanted = replace(before, **{kind: days or None for kind, days in change.items()})
        if wanted != before:
            await self._change(Actor(found.id), SettingsChange(retention_days=wanted))
        return wanted

    async def _change(self, by: Actor, change: SettingsChange) -> TenantSettings:
        tenant_id = by.tenant_id
        async with self._database.transaction() as tx:
            if changed := change.changed:
                await tx.tenant_settings.change(tenant_id, change)
                resource = ("tenant", str(tenant_id))
                told = {"changed": changed}
                event = AuditEvent(by, AuditType.TENANT_UPDATED, resource, told)
                await tx.audit.add(event)
            return await tx.tenant_settings.get(tenant_id)
