"""Bodies of ``/tenant/audit-logs``, field by field as clients know them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field


class AuditEntryOut(BaseModel):
    """Something that was done or refused."""

    id: str
    event_type: str = Field(examples=["api_key.created"])
    event_timestamp: datetime
    severity: str = Field(description="`info`, `warning`, `error` or `critical`.")
    action: str
    result: str = Field(description="`success`, `failure` or `denied`.")
    user_id: str | None = Field(description="The member; null: the owner, or the operator.")
    api_key_id: str | None = Field(description="Null: the operator, on the command line.")
    ip_address: str | None
    resource_type: str | None
    resource_id: str | None
    error_message: str | None
    metadata: dict[str, Any] | None


class AuditEntryList(BaseModel):
    """A page of the log, the newest first."""

    entries: list[AuditEntryOut]
    total_count: int
    has_more: bool
