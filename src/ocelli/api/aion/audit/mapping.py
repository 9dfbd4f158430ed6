"""From the domain to the bodies of ``/tenant/audit-logs``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.api.aion.audit import schemas

if TYPE_CHECKING:
    from ocelli.domain.audit import AuditEntry


def entry(each: AuditEntry) -> schemas.AuditEntryOut:
    """Return the body of an event."""
    return schemas.AuditEntryOut(
        id=str(each.id),
        event_type=each.type,
        event_timestamp=each.occurred_at,
        severity=each.severity,
        action=each.action,
        result=each.result,
        user_id=None if each.member_id is None else str(each.member_id),
        api_key_id=None if each.key_id is None else str(each.key_id),
        ip_address=each.address,
        resource_type=each.resource_type,
        resource_id=each.resource_id,
        error_message=each.error,
        metadata=None if each.metadata is None else dict(each.metadata),
    )
