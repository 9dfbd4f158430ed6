"""The audit log: what was done in a tenant, by which key, and what was refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from ocelli.domain.accounts import ApiKey


class AuditType(StrEnum):
    """The events that are recorded."""

    LOGIN = "auth.login"
    LOGOUT = "auth.logout"
    LOGIN_FAILED = "auth.login_failed"
    PERMISSION_DENIED = "permission.denied"
    RATE_LIMIT_EXCEEDED = "security.rate_limit_exceeded"
    KEY_CREATED = "api_key.created"
    KEY_DELETED = "api_key.deleted"
    KEY_FAILED = "api_key.failed"
    TENANT_CREATED = "tenant.created"
    TENANT_UPDATED = "tenant.updated"
    MEMBER_ADDED = "tenant.member_added"
    MEMBER_REMOVED = "tenant.member_removed"
    MEMBER_ROLE_CHANGED = "tenant.member_role_changed"
    WEBHOOK_CREATED = "webhook.created"
    WEBHOOK_UPDATED = "webhook.updated"
    WEBHOOK_DELETED = "webhook.deleted"
    WEBHOOK_DISABLED = "webhook.disabled"
    DATA_ERASED = "data.erased"


class Severity(StrEnum):
    """How much an event matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class Result(StrEnum):
    """How what was tried ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    DENIED = "denied"


ACTIONS = {
    AuditType.LOGIN: "login",
    AuditType.LOGOUT: "logout",
    AuditType.LOGIN_FAILED: "login",
    AuditType.PERMISSION_DENIED: "access",
    AuditType.RATE_LIMIT_EXCEEDED: "access",
    AuditType.KEY_CREATED: "create",
    AuditType.KEY_DELETED: "delete",
    AuditType.KEY_FAILED: "login",
    AuditType.TENANT_CREATED: "create",
    AuditType.TENANT_UPDATED: "update",
    AuditType.MEMBER_ADDED: "create",
    AuditType.MEMBER_REMOVED: "delete",
    AuditType.MEMBER_ROLE_CHANGED: "update",
    AuditType.WEBHOOK_CREATED: "create",
    AuditType.WEBHOOK_UPDATED: "update",
    AuditType.WEBHOOK_DELETED: "delete",
    AuditType.WEBHOOK_DISABLED: "update",
    AuditType.DATA_ERASED: "delete",
}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something in a tenant: with which key, of which member, from which address.

    Without a key it is the operator, on the command line.
    """

    tenant_id: UUID
    key_id: UUID | None = None
    member_id: UUID | None = None
    address: str | None = None

    @classmethod
    def of(cls, key: ApiKey, address: str | None = None) -> Actor:
        """Return the one who uses a key."""
        return cls(key.tenant.id, key.id, key.member_id, address)


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Something that happened. ``resource``: its type and id."""

    actor: Actor
    type: AuditType
    resource: tuple[str, str] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    result: Result = Result.SUCCESS
    severity: Severity = Severity.INFO
    error: str | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A recorded event. Its texts are not enums: an older or newer server may have written them."""

    id: UUID
    type: str
    occurred_at: datetime
    severity: str
    action: str
    result: str
    member_id: UUID | None
    key_id: UUID | None
    address: str | None
    resource_type: str | None
    resource_id: str | None
    error: str | None
    metadata: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Filters, all of which must hold; ``since`` is inclusive, ``before`` is not."""

    type: str | None = None
    severity: str | None = None
    result: str | None = None
    member_id: UUID | None = None
    since: datetime | None = None
    before: datetime | None = None
