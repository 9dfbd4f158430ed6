"""What a tenant says of itself, and what its plan says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from ocelli.domain.accounts import Tier
    from ocelli.domain.erasures import RetentionDays


@dataclass(frozen=True, slots=True)
class TenantSettings:
    """The settings of a tenant, and the credits and US dollars that it has used."""

    id: UUID
    name: str
    created_at: datetime
    updated_at: datetime
    tier: Tier
    webhook_url: str | None
    allowed_providers: tuple[str, ...]
    allowed_domains: tuple[str, ...]
    custom_config: Mapping[str, Any]
    month_credits: int
    total_credits: int
    month_cost: float
    total_cost: float
    retention_days: RetentionDays


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """New values; None leaves a setting as it is."""

    name: str | None = None
    webhook_url: str | None = None
    allowed_providers: Sequence[str] | None = None
    allowed_domains: Sequence[str] | None = None
    custom_config: Mapping[str, Any] | None = None
    retention_days: RetentionDays | None = None

    @property
    def changed(self) -> list[str]:
        """The names of the settings that are given."""
        return [name for name in self.__dataclass_fields__ if getattr(self, name) is not None]
