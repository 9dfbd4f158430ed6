"""Routes of ``/tenant/audit-logs``."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query

from ocelli.api.aion.audit import mapping, schemas
from ocelli.api.aion.common import Moment, errors, resource_router
from ocelli.api.auth import CurrentKey, CurrentServices
from ocelli.api.policy import requires
from ocelli.domain.audit import AuditQuery
from ocelli.domain.scopes import KeyRole
from ocelli.domain.timestamps import moment

router = resource_router("/tenant/audit-logs", tag="audit")

Word = Annotated[str | None, Query(max_length=100, pattern=r"^[^\x00]*$")]


@router.get("", summary="List what was done", responses=errors())
@requires(KeyRole.ADMIN)
async def list_audit_logs(
    key: CurrentKey,
    services: CurrentServices,
    event_type: Word = None,
    severity: Word = None,
    result: Word = None,
    user_id: Annotated[UUID | None, Query(description="A member.")] = None,
    date_from: Annotated[Moment | None, Query(description="Not older than this.")] = None,
    date_to: Annotated[
        Moment | None, Query(description="Not newer; a day is included as a whole.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    offset: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
) -> schemas.AuditEntryList:
    """The newest first, of the last year. Recorded are keys made and ended, members and their
    roles, settings, webhooks, sign-ins to the console, and refusals, of ended keys too: of the
    same kind and key one a minute.

    Values that no event has find nothing.
    """
    query = AuditQuery(
        type=event_type,
        severity=severity,
        result=result,
        member_id=user_id,
        since=moment(date_from),
        before=moment(date_to, end_of_day=True),
    )
    entries, total = await services.audit.page(key.tenant.id, query, limit=limit, offset=offset)
    return schemas.AuditEntryList(
        entries=[mapping.entry(each) for each in entries],
        total_count=total,
        has_more=offset + len(entries) < total,
    )


@router.get("/{log_id}", summary="One event", responses=errors(404))
@requires(KeyRole.ADMIN)
async def get_audit_log(
    log_id: Annotated[str, Path(max_length=36, description="The id.")],
    key: CurrentKey,
    services: CurrentServices,
) -> schemas.AuditEntryOut:
    """As in the list."""
    return mapping.entry(await services.audit.get(key.tenant.id, log_id))
