"""What the page shows of meters and keys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from ocelli.console.api_requests import ApiRequest
from ocelli.domain.accounts import KeyDraft
from ocelli.domain.errors import ValidationFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.console.visitors import Form
    from ocelli.domain.rates import RateState
    from ocelli.domain.usage import DayOfUse, Spend
    from ocelli.usecases.quota import QuotaStatus

DAYS = 30
KEYS = 100
MAX_NAME = 255
LIFETIMES = {
    "": "never",
    "7": "in a week",
    "30": "in 30 days",
    "90": "in 90 days",
    "365": "in a year",
}
WIDTH, HEIGHT = 20, 100  # of a day of the plot


@dataclass(frozen=True, slots=True)
class Meter:
    """What is used of a limit; None: there is none."""

    name: str
    used: int
    limit: int | None
    is_bytes: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """A day of a plot, in its units: ``bad`` stands on ``good``."""

    label: str
    x: int
    good: float
    bad: float = 0.0


def meters(status: QuotaStatus, rate: RateState) -> list[Meter]:
    """Return the limits of the tenant, and what is used of each."""
    limits, used = status.limits, status.used
    return [
        Meter("Descriptions this month", used.descriptions, limits.monthly_descriptions),
        Meter("Uploads this month", used.uploads, limits.monthly_uploads),
        Meter("Looks this month (credits)", used.credits, None),
        Meter("Stored", used.storage_bytes, limits.storage_bytes, is_bytes=True),
        Meter("Requests of this key in this minute", rate.limit - rate.remaining, rate.limit),
    ]


def answer_bars(days: Sequence[DayOfUse]) -> list[Bar]:
    """Return the plot of answers and failures.

    >>> from datetime import date
    >>> from ocelli.domain.usage import DayOfUse
    >>> bar = answer_bars([DayOfUse(date(2026, 1, 1)), DayOfUse(date(2026, 1, 2), 3, 1)])[1]
    >>> bar.label, bar.x, bar.good, bar.bad
    ('2026-01-02: 3 answers, 1 failures', 20, 75.0, 25.0)
    """
    highest = max((each.succeeded + each.failed for each in days), default=0) or 1
    return [
        Bar(
            f"{each.day}: {each.succeeded:,} answers, {each.failed:,} failures",
            at * WIDTH,
            round(HEIGHT * each.succeeded / highest, 1),
            round(HEIGHT * each.failed / highest, 1),
        )
        for at, each in enumerate(days)
    ]


def dollar_bars(days: Sequence[DayOfUse]) -> list[Bar]:
    """Return the plot of what was spent; empty if that is nothing."""
    highest = max((each.spend.dollars for each in days), default=Decimal(0))
    return [
        Bar(
            f"{each.day}: {money(each.spend)}",
            at * WIDTH,
            round(float(HEIGHT * each.spend.dollars / highest), 1),
        )
        for at, each in enumerate(days)
        if highest
    ]


def money(spend: Spend) -> str:
    """Say what calls cost, and of how many that is not known.

    >>> from decimal import Decimal
    >>> from ocelli.domain.usage import Spend
    >>> money(Spend(3, dollars=Decimal("0.0125"))), money(Spend(2, unpriced=2))
    ('$0.0125', 'not known')
    >>> money(Spend(3, dollars=Decimal("12.5"), unpriced=1))
    '$12.50, and 1 look of unknown price'
    """
    if spend.unpriced and spend.unpriced == spend.calls:
        return "not known"
    digits = 2 if spend.dollars >= 1 or not spend.dollars else 4
    more = f"{spend.unpriced:,} look{'' if spend.unpriced == 1 else 's'}"
    known = f"${spend.dollars:,.{digits}f}"
    return f"{known}, and {more} of unknown price" if spend.unpriced else known


def draft(form: Form) -> KeyDraft:
    """Return the key that a form describes. Raises ValidationFailed."""
    name = form.get("name").strip()
    if not 0 < len(name) <= MAX_NAME:
        raise ValidationFailed(f"A key needs a name of 1 to {MAX_NAME} characters.", field="name")
    lifetime = form.get("lifetime")
    if lifetime not in LIFETIMES:
        raise ValidationFailed("Choose from the list when the key ends.", field="lifetime")
    expires_at = datetime.now(UTC) + timedelta(days=int(lifetime)) if lifetime else None
    return KeyDraft(name, tuple(form.all("scopes")), expires_at=expires_at)


def api_requests() -> list[ApiRequest]:
    """Return the requests that do the same."""
    body = {"name": "nightly import", "scopes": ["write"]}
    return [
        ApiRequest("What was used", "GET", "/api/v2/usage/summary", "usage.get_summary"),
        ApiRequest("List keys", "GET", "/api/v2/api-keys", "api_keys.list"),
        ApiRequest("Make a key", "POST", "/api/v2/api-keys", "api_keys.create", body, body=body),
    ]
