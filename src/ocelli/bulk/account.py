"""The account of a run: every source that was seen has one row, and the sum says so. Pure."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ocelli.bulk.rows import RowStatus

if TYPE_CHECKING:
    from ocelli.bulk.rows import Row

_BUDGET = re.compile(r"(\d+(?:\.\d+)?)\s*(?:usd|\$)?", re.IGNORECASE)


@dataclass(slots=True)
class Account:
    """Counts of one run. ``before`` are rows of earlier runs whose sources were seen again.

    ``cost`` is in US dollars; ``unpriced`` rows have calls whose price is not known.
    """

    seen: int = 0
    now: Counter[str] = field(default_factory=Counter)
    before: Counter[str] = field(default_factory=Counter)
    cost: float = 0.0
    highest_cost: float = 0.0
    unpriced: int = 0
    tokens: int = 0

    def add(self, row: Row) -> None:
        """Count a row of this run."""
        self.now[row.status] += 1
        self.tokens += row.prompt_tokens + row.completion_tokens
        if row.cost_usd is not None:
            self.cost += row.cost_usd
            self.highest_cost = max(self.highest_cost, row.cost_usd)
        elif row.status is RowStatus.DONE:
            self.unpriced += 1

    def count(self, status: RowStatus) -> int:
        """Return how many of the sources have this status, whenever they came to it."""
        return self.now[status] + self.before[status]

    @property
    def rows(self) -> int:
        """The sources that have a row."""
        return sum(self.now.values()) + sum(self.before.values())

    @property
    def is_balanced(self) -> bool:
        """Whether every source that was seen has its row."""
        return self.seen == self.rows

    def __str__(self) -> str:
        parts = " + ".join(f"{each} {self.count(each):,}" for each in RowStatus)
        sign = "=" if self.is_balanced else "≠"
        return f"seen {self.seen:,} {sign} {parts}"

    def as_dict(self) -> dict[str, object]:
        """Return the account for programs."""
        return {
            "seen": self.seen,
            **{each.value: self.count(each) for each in RowStatus},
            "balanced": self.is_balanced,
            "rows_of_this_run": sum(self.now.values()),
            "cost_usd": round(self.cost, 6),
            "unpriced": self.unpriced,
            "tokens": self.tokens,
        }


@dataclass(frozen=True, slots=True)
class Limits:
    """What ends a run early. ``picture_cost`` is the most that a picture can cost, in US dollars,
    as long as none has been paid for.
    """

    sources: int | None = None
    budget: float | None = None
    failures: int | None = None
    picture_cost: float = 0.0

    def affordable(self, account: Account, under_way: int) -> bool:
        """Return whether another picture fits into the budget, if each that is ``under_way`` costs
        as much as the dearest one so far. One may always be tried while nothing is known.
        """
        if self.budget is None:
            return True
        if not account.highest_cost and not under_way:
            return account.cost < self.budget
        each = account.highest_cost or self.picture_cost
        return account.cost + (under_way + 1) * each <= self.budget


def parse_budget(text: str) -> float:
    """Return the dollars of ``20usd``, ``20`` or ``0.5 USD``. Raises ValueError."""
    match = _BUDGET.fullmatch(text.strip().removeprefix("$"))
    if match is None or not float(match[1]):
        raise ValueError("a budget is an amount of US dollars: 20usd")
    return float(match[1])
