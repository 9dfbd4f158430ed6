"""Dates and times of requests, as moments with a time zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta


def in_zone(given: datetime) -> datetime:
    """UTC unless it says another zone."""
    return given if given.tzinfo else given.replace(tzinfo=UTC)


def moment(given: datetime | date | None, *, end_of_day: bool = False) -> datetime | None:
    """Return a moment with a time zone, UTC if none is given; a date is its midnight.

    With ``end_of_day`` it is the first moment after ``given``: the next midnight after a date, the
    next microsecond after a moment.

    >>> moment(date(2026, 5, 1), end_of_day=True).isoformat()
    '2026-05-02T00:00:00+00:00'
    """
    if given is None:
        return None
    if isinstance(given, datetime):
        zoned = in_zone(given)
        step = timedelta(microseconds=1)
    else:
        zoned = datetime.combine(given, time(), UTC)
        step = timedelta(days=1)
    if not end_of_day:
        return zoned
    try:
        return zoned + step
    except OverflowError:  # the end of time
        return zoned
