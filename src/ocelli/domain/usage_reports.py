"""What a tenant used, in the forms in which it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from ocelli.domain.claims import Tokens


class Period(StrEnum):
    """A stretch of whole days."""

    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class TokensOf:
    """The tokens of something that has a name: a picture, or a conversation."""

    id: UUID
    name: str | None
    tokens: Tokens
    created_at: datetime
    messages: int = 0


@dataclass(frozen=True, slots=True)
class TokenPage:
    """A page, the newest first, and the sums of all pages."""

    rows: Sequence[TokensOf]
    count: int
    total: Tokens


@dataclass(frozen=True, slots=True)
class Activity:
    """What happened from ``start`` to ``end``, both included. ``milliseconds`` in sum."""

    start: date
    end: date
    uploads: Mapping[date, int]
    messages: Mapping[date, int]
    sessions: int
    succeeded: int
    failed: int
    milliseconds: float
    tokens: Tokens
    chat_tokens: int

    @property
    def days(self) -> list[date]:
        """Every day."""
        count = (self.end - self.start).days + 1
        return [self.start + timedelta(days=each) for each in range(count)]


def period_of(period: Period, day: date) -> tuple[date, date]:
    """Return the first day of the calendar period that ``day`` is in, and that of the next one.

    >>> period_of(Period.QUARTER, date(2026, 11, 30))
    (datetime.date(2026, 10, 1), datetime.date(2027, 1, 1))
    """
    if period is Period.WEEK:
        first = day - timedelta(days=day.weekday())
        return first, first + timedelta(days=7)
    months = {Period.MONTH: 1, Period.QUARTER: 3, Period.YEAR: 12}[period]
    begun = (day.month - 1) // months * months
    first = date(day.year, begun + 1, 1)
    after = begun + months
    return first, date(day.year + after // 12, after % 12 + 1, 1)
