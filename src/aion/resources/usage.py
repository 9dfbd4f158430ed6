"""What was used of the account: ``client.usage``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aion.resources._base import Resource, given, level_name, moment
from aion.types.usage import (
    EndpointUse,
    UsageBreakdown,
    UsageCheck,
    UsageDetails,
    UsageSummary,
)

if TYPE_CHECKING:
    from datetime import date

    from aion.types.common import VerificationLevel


class UsageResource(Resource):
    """Credits and requests: what may be used, what was."""

    async def check(
        self, item_count: int = 1, *, verification_level: VerificationLevel | str = "standard"
    ) -> UsageCheck:
        """Whether so many pictures may be described now; the request itself decides.

        Raises:
            ValidationError: an unknown level, or fewer than one picture.
        """
        body = {"item_count": item_count, "verification_level": level_name(verification_level)}
        return UsageCheck.from_api_response(
            await self._http.json("POST", "/usage/check", json=body)
        )

    async def get_summary(
        self,
        *,
        start_date: date | str | None = None,
        end_date: date | str | None = None,
        period: str | None = None,
        api_key_id: str | None = None,
    ) -> UsageSummary:
        """What was used in a period, and what is left of the month.

        Args:
            start_date: the first day (UTC).
            end_date: the last day (UTC); by default today.
            period: ``day``, ``week`` or ``month`` before the end, where no ``start_date`` is given;
                by default ``month``.
            api_key_id: count the requests by this key alone.

        Raises:
            ValidationError: the start is after the end, or no such period.
        """
        params = given(
            start_date=moment(start_date),
            end_date=moment(end_date),
            period=period,
            api_key_id=api_key_id,
        )
        answer = await self._http.json("GET", "/usage/summary", params=params)
        return UsageSummary.from_api_response(answer)

    async def get_details(
        self,
        *,
        start_date: date | str | None = None,
        end_date: date | str | None = None,
        api_key_id: str | None = None,
        operation_type: str | None = None,
        page: int = 1,
        page_size: int = 50,
    ) -> UsageDetails:
        """Requests of the last 30 days one by one, the newest first.

        Args:
            start_date: not older than this, a day or a moment.
            end_date: not newer; a day is included as a whole.
            api_key_id: those by this key alone.
            operation_type: ``describe``, ``verify``, ``upload``, ``chat``, else the resource.
            page: from 1.
            page_size: at most 100.

        Raises:
            ValidationError: one of these is impossible.
        """
        params = given(
            start_date=moment(start_date),
            end_date=moment(end_date),
            api_key_id=api_key_id,
            operation_type=operation_type,
            page=page,
            page_size=page_size,
        )
        return UsageDetails.from_api_response(
            await self._http.json("GET", "/usage/details", params=params)
        )

    async def get_top_endpoints(
        self,
        *,
        limit: int = 10,
        start_date: date | str | None = None,
        end_date: date | str | None = None,
    ) -> list[EndpointUse]:
        """What is asked most often, the most frequent first; of the requests of the last 30 days.

        Args:
            limit: at most 50.
            start_date: not older than this, a day or a moment.
            end_date: not newer; a day is included as a whole.

        Raises:
            ValidationError: one of these is impossible.
        """
        params = given(limit=limit, start_date=moment(start_date), end_date=moment(end_date))
        answer = await self._http.json("GET", "/usage/top-endpoints", params=params)
        return [EndpointUse.from_api_response(each) for each in answer["endpoints"]]

    async def get_breakdown(self) -> UsageBreakdown:
        """Where the credits of this month went."""
        return UsageBreakdown.from_api_response(await self._http.json("GET", "/usage/breakdown"))
