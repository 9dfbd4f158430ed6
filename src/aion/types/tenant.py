"""The account: settings and limits."""

from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Any

from aion.types._model import Model, record


@record
class RetentionDays(Model):
    """After how many days what is erased for good; None: it is kept."""

    pictures: int | None = None
    chat_sessions: int | None = None
    request_log: int | None = None


@record
class TenantSettings(Model):
    """The settings of an account."""

    id: str
    name: str = ""
    owner_user_id: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    is_active: bool = True
    webhook_url: str | None = None
    allowed_vlm_providers: list[str] = field(default_factory=list)
    allowed_domains: list[str] = field(default_factory=list)
    max_monthly_credits: int | None = None
    max_requests_per_minute: int | None = None
    custom_config: dict[str, Any] = field(default_factory=dict)
    subscription_tier: str | None = None
    subscription_expires_at: datetime | None = None
    current_month_credits: int = 0
    current_month_cost: float = 0.0
    total_credits: int = 0
    total_cost: float = 0.0
    retention_days: RetentionDays = field(default_factory=RetentionDays)


@record
class TenantLimits(Model):
    """What may be used, what is used, and what is left, by name.

    >>> limits = TenantLimits({"monthly_uploads": 10}, {"monthly_uploads": 3}, {})
    >>> limits.get_limit("monthly_uploads"), limits.get_remaining("monthly_uploads")
    (10, 7)
    """

    limits: dict[str, int] = field(default_factory=dict)
    usage: dict[str, int] = field(default_factory=dict)
    remaining: dict[str, int] = field(default_factory=dict)
    subscription_tier: str | None = None

    def get_limit(self, name: str) -> int | None:
        """What may be used; None if there is no such limit."""
        return self.limits.get(name)

    def get_usage(self, name: str) -> int | None:
        """What is used; None if that is not counted."""
        return self.usage.get(name)

    def get_remaining(self, name: str) -> int | None:
        """What is left; None if there is no such limit."""
        if name in self.remaining:
            return self.remaining[name]
        limit = self.get_limit(name)
        return None if limit is None else max(0, limit - (self.get_usage(name) or 0))


class MemberRole(StrEnum):
    """What a person may do."""

    OWNER = "owner"
    ADMIN = "admin"
    EDITOR = "editor"
    VIEWER = "viewer"


@record
class TenantMember(Model):
    """A person of the account. ``api_key`` is their key, after ``invite_member`` only."""

    id: str
    email: str
    name: str
    role: str
    joined_at: datetime | None = None
    last_active_at: datetime | None = None
    api_key: str | None = None

    @property
    def role_enum(self) -> MemberRole:
        """The role. Raises ValueError for one that this client does not know."""
        return MemberRole(self.role)
