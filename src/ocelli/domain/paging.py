"""Where a page of a list begins, by the sort key of the row before it.

Counting rows (an offset) skips some when earlier ones are deleted meanwhile, and repeats some when
rows are added before it; a key does neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

Row = TypeVar("Row")
Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class PageRequest:
    """``limit`` rows behind the row with the key ``after``, or else behind the first ``offset``."""

    limit: int
    offset: int = 0
    after: Key | None = None

    @property
    def look_ahead(self) -> int:
        """How many rows to ask for: one more tells whether there is another page."""
        return self.limit + 1

    def cut(self, rows: Sequence[Row]) -> tuple[Sequence[Row], bool]:
        """The rows of the page, of ``look_ahead`` at most, and whether others follow."""
        return rows[: self.limit], len(rows) > self.limit
