"""Periods of time that a question names in English words. Pure.

>>> from datetime import datetime, UTC
>>> found = period_in("dogs from may 2024", datetime(2026, 5, 4, tzinfo=UTC))
>>> found.label, found.rest
('May 2024', 'dogs')
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_MONTHS = {name.lower(): n for n, name in enumerate(calendar.month_name) if n}
_MONTHS |= {name.lower(): n for n, name in enumerate(calendar.month_abbr) if n} | {"sept": 9}
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}  # of the northern half
_SEASON_MONTHS = 3
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_YEAR = r"(?:19|20)\d\d"
_UNITS = {"day": 1, "week": 7, "month": 30, "year": 365}
_UNIT = "|".join(_UNITS)
_SPAN = (
    r"\d{4}-\d\d-\d\d"
    rf"|\d{{1,2}}(?:[a-z]{{2}})?(?: of)? (?:{_MONTH})\.?,? {_YEAR}"
    rf"|(?:{_MONTH})\.? \d{{1,2}}(?:[a-z]{{2}})?,? {_YEAR}"
    rf"|(?:{_MONTH})\.?(?: of)?,? {_YEAR}"
    rf"|(?:{'|'.join(_SEASONS)})(?: of)? {_YEAR}"
    rf"|today|yesterday|(?:this|last|past) (?:{_UNIT})"
    rf"|(?:the )?(?:last|past) \d{{1,4}} (?:{_UNIT})s?"
    rf"|\d{{4}}-\d\d(?!\d|-)|{_YEAR}"
)
_BETWEEN = re.compile(
    rf"\b(?:between|from) (?P<one>{_SPAN}) (?:and|to|until|till) (?P<two>{_SPAN})\b"
)
_OPEN = re.compile(
    rf"\b(?P<how>before|until|till|after|since|older than|newer than) (?:the year )?"
    rf"(?P<span>{_SPAN})\b"
)
_DURING = re.compile(
    r"\b(?:taken |made |shot |uploaded |added )?(?:(?:in|on|from|of|during|within) )?"
    r"(?:the year )?"
    rf"(?P<span>{_SPAN})\b"
)
_WORD_BEFORE = re.compile(r"(?:in|on|from|of|during|within|year|taken) (?:the year )?$")


@dataclass(frozen=True, slots=True)
class Period:
    """``since`` is inclusive, ``before`` is not; None: open. ``rest`` is the text without it."""

    since: datetime | None
    before: datetime | None
    label: str
    rest: str


def period_in(text: str, now: datetime) -> Period | None:
    """Return the first period that a text in small letters names, or None.

    A bare year counts only behind a word such as "in": "2001" alone may be a name.
    """
    for pattern, reading in ((_BETWEEN, _between), (_OPEN, _open), (_DURING, _during)):
        for found in pattern.finditer(text):
            period = reading(found, text, now)
            if period is not None:
                return period
    return None


def _between(found: re.Match[str], text: str, now: datetime) -> Period | None:
    one, two = _span(found["one"], now), _span(found["two"], now)
    if one is None or two is None:
        return None
    first, second = sorted((one, two))
    return Period(first[0], second[1], f"{_shown(one)} to {_shown(two)}", _without(text, found))


def _open(found: re.Match[str], text: str, now: datetime) -> Period | None:
    span = _span(found["span"], now)
    if span is None:
        return None
    label = f"{found['how']} {_shown(span)}"
    ends: dict[str, Callable[[], tuple[datetime | None, datetime | None]]] = {
        "before": lambda: (None, span[0]),
        "older than": lambda: (None, span[0]),
        "until": lambda: (None, span[1]),
        "till": lambda: (None, span[1]),
        "since": lambda: (span[0], None),
        "after": lambda: (span[1], None),
        "newer than": lambda: (span[1], None),
    }
    return Period(*ends[found["how"]](), label, _without(text, found))


def _during(found: re.Match[str], text: str, now: datetime) -> Period | None:
    bare = re.fullmatch(_YEAR, found["span"]) is not None
    if bare and not _WORD_BEFORE.search(text[: found.start("span")]):
        return None
    span = _span(found["span"], now)
    return span and Period(*span, _shown(span), _without(text, found))


def _without(text: str, found: re.Match[str]) -> str:
    return " ".join(f"{text[: found.start()]} {text[found.end() :]}".split())


def _shown(span: tuple[datetime, datetime]) -> str:
    first, last = span[0], span[1] - timedelta(days=1)
    if first.date() == last.date():
        return f"{first.day} {first:%B %Y}"
    if (first.day, first.month, last.day, last.month) == (1, 1, 31, 12) and first.year == last.year:
        return str(first.year)
    last_of_month = calendar.monthrange(first.year, first.month)[1]
    if first.day == 1 and (last.year, last.month, last.day) == (
        first.year,
        first.month,
        last_of_month,
    ):
        return f"{first:%B %Y}"
    return f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"


def _span(text: str, now: datetime) -> tuple[datetime, datetime] | None:
    """Return the first moment of a period, and the first after it; None for no real date."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        return _relative(text, today) or _named(text)
    except (ValueError, OverflowError):
        return None


def _relative(text: str, today: datetime) -> tuple[datetime, datetime] | None:
    tomorrow = today + timedelta(days=1)
    if text == "today":
        return today, tomorrow
    if text == "yesterday":
        return today - timedelta(days=1), today
    if found := re.fullmatch(rf"(?:the )?(?:last|past) (\d+) ({_UNIT})s?", text):
        return tomorrow - timedelta(days=int(found[1]) * _UNITS[found[2]]), tomorrow
    found = re.fullmatch(rf"(this|last|past) ({_UNIT})", text)
    if found is None:
        return None
    back = found[1] != "this"
    match found[2]:
        case "day":
            begin = today - timedelta(days=back)
            return begin, begin + timedelta(days=1)
        case "week":
            begin = today - timedelta(days=today.weekday() + 7 * back)
            return begin, begin + timedelta(days=7)
        case "month":
            year, month = (today.year, today.month - 1) if back else (today.year, today.month)
            return _month(year if month else year - 1, month or 12)
    return _year(today.year - back)


def _named(text: str) -> tuple[datetime, datetime]:
    numbers = [int(each) for each in re.findall(r"\d+", text)]
    words = re.findall(r"[a-z]+", text)
    month = next((_MONTHS[word] for word in words if word in _MONTHS), None)
    season = next((_SEASONS[word] for word in words if word in _SEASONS), None)
    if season is not None:
        first, _ = _month(numbers[0], season)
        return first, _month(*_months_later(first, _SEASON_MONTHS))[0]
    if month is None and len(numbers) == 3:
        return _day(*numbers)
    if month is None:
        return _month(*numbers) if len(numbers) == 2 else _year(numbers[0])
    if len(numbers) == 2:
        day, year = min(numbers), max(numbers)
        return _day(year, month, day)
    return _month(numbers[0], month)


def _months_later(first: datetime, months: int) -> tuple[int, int]:
    at = first.month - 1 + months
    return first.year + at // 12, at % 12 + 1


def _day(year: int, month: int, day: int) -> tuple[datetime, datetime]:
    begin = datetime(year, month, day, tzinfo=UTC)
    return begin, begin + timedelta(days=1)


def _month(year: int, month: int) -> tuple[datetime, datetime]:
    begin = datetime(year, month, 1, tzinfo=UTC)
    return begin, datetime(*_months_later(begin, 1), 1, tzinfo=UTC)


def _year(year: int) -> tuple[datetime, datetime]:
    return datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
