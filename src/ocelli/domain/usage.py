"""What a tenant used, in whole units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

    from ocelli.domain.analysis import Level


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
    """What was delivered in some days, for one operation and level."""

    operation: str
    level: Level
    succeeded: int
    failed: int
    credits: int
    milliseconds: float
