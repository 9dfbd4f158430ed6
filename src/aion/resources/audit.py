"""What was done in the account: ``client.audit``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aion._paths import segment
from aion.resources._base import Resource, given, moment, require
from aion.types.audit import AuditLogEntry, AuditLogList

if TYPE_CHECKING:
    from datetime import datetime


class AuditResource(Resource):
    """Read the audit log; the key must be an administrator's."""

    async def list(
        self,
        *,
        event_type: str | None = None,
        severity: str | None = None,
        user_id: str | None = None,
        date_from: datetime | None = None,
        date_to: datetime | None = None,
        result: str | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> AuditLogList:
        """A page of the log, the newest first. All that is given must hold.

        Args:
            event_type: such as ``api_key.created``.
            severity: ``info``, ``warning``, ``error`` or ``critical``.
            user_id: a member.
            date_from: not older than this; without a zone it is UTC.
            date_to: not newer than this.
            result: ``success``, ``failure`` or ``denied``.
            limit: how many, from 1 to 100.
            offset: how many newer ones are left out.

        Raises:
            ValidationError: an argument makes no sense.
            AionvisionPermissionError: the key is not an administrator's.
        """
        require(1 <= limit <= 100, "limit is from 1 to 100", "limit")
        require(offset >= 0, "offset is 0 or more", "offset")
        params = given(
            event_type=event_type,
            severity=severity,
            user_id=user_id,
            date_from=moment(date_from),
            date_to=moment(date_to),
            result=result,
            limit=limit,
            offset=offset,
        )
        answer = await self._http.json("GET", "/tenant/audit-logs", params=params)
        return AuditLogList.from_api_response(answer)

    async def get(self, log_id: str) -> AuditLogEntry:
        """One event.

        Raises:
            ResourceNotFoundError: there is no such event.
            AionvisionPermissionError: the key is not an administrator's.
        """
        require(bool(log_id), "give an id", "log_id")
        answer = await self._http.json("GET", f"/tenant/audit-logs/{segment(log_id)}")
        return AuditLogEntry.from_api_response(answer)
