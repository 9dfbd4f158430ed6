"""The usage of a tenant, in whole units."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING

from ocelli.domain.claims import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import date
    from uuid import UUID

    from ocelli.domain.analysis import ModelCall, VerificationLevel


MOST_KEYS = 100


class Limit(Enum):
    """The kinds of limits of a tier."""

    MONTH = "month"
    STORAGE = "storage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """Amounts to add to a tenant's meters, and the maxima of those; None: unlimited."""

    tenant_id: UUID
    uploads: int = 0
    descriptions: int = 0
    credits: int = 0
    size_bytes: int = 0
    max_uploads: int | None = None
    max_descriptions: int | None = None
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class MonthlyUse:
    """The meters of one calendar month (UTC); ``storage_bytes`` is what is stored now."""

    month: date
    uploads: int = 0
    descriptions: int = 0
    credits: int = 0
    storage_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Delivered:
    """The delivered results of a period, for one operation and level; ``milliseconds`` in sum."""

    operation: str
    level: VerificationLevel
    succeeded: int
    failed: int
    credits: int
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Spend:
    """Model calls, and what they cost in US dollars by the prices of when they were made.

    ``milliseconds`` in sum. Of ``unpriced`` calls no price was known.
    """

    calls: int = 0
    tokens: Tokens = Tokens()
    milliseconds: float = 0.0
    dollars: Decimal = Decimal(0)
    unpriced: int = 0

    def __add__(self, other: Spend) -> Spend:
        return Spend(
            self.calls + other.calls,
            Tokens(
                self.tokens.prompt + other.tokens.prompt,
                self.tokens.completion + other.tokens.completion,
            ),
            self.milliseconds + other.milliseconds,
            self.dollars + other.dollars,
            self.unpriced + other.unpriced,
        )


@dataclass(frozen=True, slots=True)
class DayOfUse:
    """What was delivered on one day (UTC)."""

    day: date
    succeeded: int = 0
    failed: int = 0
    credits: int = 0
    spend: Spend = Spend()


@dataclass(frozen=True, slots=True)
class BackendUse:
    """The model calls of a backend in analyses; ``milliseconds`` in sum."""

    backend: str
    calls: int
    tokens: Tokens
    milliseconds: float


@dataclass(frozen=True, slots=True)
class UseOfKey:
    """What was delivered to one key, and spent for it; ``key_id`` None: to none that is known."""

    key_id: UUID | None
    name: str | None = None
    succeeded: int = 0
    failed: int = 0
    credits: int = 0
    spend: Spend = Spend()


@dataclass(frozen=True, slots=True)
class UsageHistory:
    """What was used in a period: on each of its days, by each backend, for each key.

    Of the keys those with the most calls, at most ``MOST_KEYS``.
    """

    days: Sequence[DayOfUse]
    backends: Mapping[str, Spend]
    keys: Sequence[UseOfKey]


def spend_by_backend(
    calls: Iterable[ModelCall], cost: Callable[[str, Tokens], float | None]
) -> dict[str, Spend]:
    """Return what an analysis spent with each backend.

    ``cost`` returns US dollars; None where the prices of a backend are not known.
    """
    spent: dict[str, Spend] = {}
    for call in calls:
        dollars = cost(call.source, call.tokens)
        spent[call.source] = spent.get(call.source, Spend()) + Spend(
            1, call.tokens, call.milliseconds, Decimal(repr(dollars or 0.0)), dollars is None
        )
    return spent
