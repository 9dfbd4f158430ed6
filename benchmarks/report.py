"""What a claim prints: rows with a value, its baseline, their ratio and a verdict."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

Verdict = Literal["ok", "MISS", "noisy", ""]

# With more of the machine than this in other hands, two measurements by the clock do not compare.
FOREIGN = 0.10


@dataclass(frozen=True)
class Target:
    """A bound on a row's ratio, or on its value where the claim is absolute."""

    limit: float
    kind: Literal["at most", "at least"]
    of: Literal["ratio", "value"] = "ratio"

    def holds(self, row: Row) -> bool:
        """Whether the row keeps to it."""
        measured = row.value if self.of == "value" else row.ratio
        if measured is None:
            return False
        return measured <= self.limit if self.kind == "at most" else measured >= self.limit

    def __str__(self) -> str:
        sign = "≤" if self.kind == "at most" else "≥"
        return f"{sign} {self.limit:.2f}" if self.of == "ratio" else f"{sign} {self.limit:g}"


@dataclass(frozen=True)
class Row:
    """One measurement. Rows without a target say where the limit is, and how far away we are.

    ``paired`` is the median over rounds of value ÷ baseline *within* a round. Other programs spoil
    both halves of a round alike, so it is steadier than the ratio of the two medians.

    ``by_clock``: measured at two different times, so other programs can turn it either way;
    ``foreign`` is their share of the machine.
    """

    claim: str
    what: str
    value: float
    unit: str
    baseline: float | None = None
    against: str = ""
    target: Target | None = None
    paired: float | None = None
    by_clock: bool = False
    foreign: float = 0.0

    @property
    def ratio(self) -> float | None:
        """Value over baseline."""
        if self.paired is not None:
            return self.paired
        return self.value / self.baseline if self.baseline else None

    @property
    def verdict(self) -> Verdict:
        """Whether the target is met; nothing if there is none, or if nobody can tell."""
        if self.target is None:
            return ""
        if self.by_clock and self.foreign > FOREIGN:
            return "noisy"
        return "ok" if self.target.holds(self) else "MISS"

    @classmethod
    def of_rounds(
        cls,
        claim: str,
        what: str,
        values: Sequence[float],
        unit: str,
        baselines: Sequence[float],
        against: str,
        target: Target | None = None,
    ) -> Row:
        """From one value and one baseline a round."""
        ratio = median(value / base for value, base in zip(values, baselines, strict=True))
        return cls(
            claim,
            what,
            median(values),
            unit,
            median(baselines),
            against,
            target,
            ratio,
            by_clock=True,
        )

    def cells(self) -> tuple[str, ...]:
        """As the table shows it."""
        return (
            self.claim,
            self.what,
            f"{_number(self.value)} {self.unit}",
            f"{_number(self.baseline)} {self.unit}" if self.baseline is not None else "",
            f"{self.ratio:.3f}" if self.ratio is not None else "",
            str(self.target or ""),
            self.verdict,
            self.against,
        )

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "claim": self.claim,
            "what": self.what,
            "value": self.value,
            "unit": self.unit,
            "baseline": self.baseline,
            "against": self.against or None,
            "ratio": self.ratio,
            "target": str(self.target) if self.target else None,
            "verdict": self.verdict or None,
            "foreign": self.foreign,
        }


HEADERS = ("claim", "what", "value", "baseline", "ratio", "target", "verdict", "baseline is")


@dataclass(frozen=True)
class Bench:
    """What every claim is given."""

    folder: Path
    quick: bool
    workers: int
    large: bool = False

    def say(self, text: str) -> None:
        """Progress, on standard error."""
        print(f"  … {text}", file=sys.stderr, flush=True)


def table(rows: Iterable[Row]) -> str:
    """Aligned columns; numbers to the right."""
    lines = [HEADERS, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    right = {2, 3, 4}
    return "\n".join(
        "  ".join(
            cell.rjust(width) if at in right else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"
