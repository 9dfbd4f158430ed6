"""What was used of the account: ``client.usage``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aion.resources._base import Resource, given, level_name, moment
from aion.types.usage import UsageBreakdown, UsageCheck, UsageSummary

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

    async def get_breakdown(self) -> UsageBreakdown:
        """Where the credits of this month went."""
        return UsageBreakdown.from_api_response(await self._http.json("GET", "/usage/breakdown"))
