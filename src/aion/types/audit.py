"""Results of ``client.audit``."""

from dataclasses import field
from datetime import datetime
from enum import Enum, StrEnum
from typing import Any, TypeVar

from aion.types._model import Model, record

E = TypeVar("E", bound=Enum)


class AuditEventType(StrEnum):
    """What happened. A server records some of them."""

    AUTH_LOGIN = "auth.login"
    AUTH_LOGOUT = "auth.logout"
    AUTH_LOGIN_FAILED = "auth.login_failed"
    AUTH_TOKEN_REFRESH = "auth.token_refresh"  # noqa: S105
    AUTH_EMAIL_VERIFIED = "auth.email_verified"
    AUTH_PASSWORD_CHANGED = "auth.password_changed"  # noqa: S105
    AUTH_OAUTH_LOGIN = "auth.oauth_login"
    PERMISSION_DENIED = "permission.denied"
    PERMISSION_GRANTED = "permission.granted"
    ROLE_CHANGED = "role.changed"
    API_KEY_CREATED = "api_key.created"
    API_KEY_DELETED = "api_key.deleted"
    API_KEY_USED = "api_key.used"
    API_KEY_FAILED = "api_key.failed"
    TENANT_CREATED = "tenant.created"
    TENANT_UPDATED = "tenant.updated"
    TENANT_MEMBER_ADDED = "tenant.member_added"
    TENANT_MEMBER_REMOVED = "tenant.member_removed"
    TENANT_MEMBER_ROLE_CHANGED = "tenant.member_role_changed"
    RULE_SET_CREATED = "rule_set.created"
    RULE_SET_UPDATED = "rule_set.updated"
    RULE_SET_DELETED = "rule_set.deleted"
    RULE_SET_SHARED = "rule_set.shared"
    RULE_SET_SHARE_REVOKED = "rule_set.share_revoked"
    SECURITY_RATE_LIMIT_EXCEEDED = "security.rate_limit_exceeded"
    SECURITY_INVALID_TOKEN = "security.invalid_token"  # noqa: S105
    SECURITY_SUSPICIOUS_ACTIVITY = "security.suspicious_activity"


class AuditSeverity(StrEnum):
    """How much an event matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class AuditResult(StrEnum):
    """How what was tried ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    DENIED = "denied"


@record
class AuditLogEntry(Model):
    """Something that was done or refused."""

    id: str
    event_type: str
    event_timestamp: datetime | None
    severity: str
    action: str
    result: str
    user_id: str | None = None
    api_key_id: str | None = None
    ip_address: str | None = None
    resource_type: str | None = None
    resource_id: str | None = None
    error_message: str | None = None
    metadata: dict[str, Any] | None = None

    @property
    def event_type_enum(self) -> AuditEventType | None:
        """The type; None for one that this client does not know."""
        return _known(AuditEventType, self.event_type)

    @property
    def severity_enum(self) -> AuditSeverity | None:
        """The severity; None for one that this client does not know."""
        return _known(AuditSeverity, self.severity)

    @property
    def result_enum(self) -> AuditResult | None:
        """The result; None for one that this client does not know."""
        return _known(AuditResult, self.result)


@record
class AuditLogList(Model):
    """A page of the log, the newest first."""

    entries: list[AuditLogEntry] = field(default_factory=list)
    total_count: int = 0
    has_more: bool = False


def _known(kind: type[E], value: str) -> E | None:
    try:
        return kind(value)
    except ValueError:
        return None
