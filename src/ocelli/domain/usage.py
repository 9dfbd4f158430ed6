"""The usage of a tenant, in whole units."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date
    from uuid import UUID

    from ocelli.domain.analysis import VerificationLevel
    from ocelli.domain.claims import Tokens


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
class DayOfUse:
    """What was delivered on one day (UTC)."""

    day: date
    succeeded: int = 0
    failed: int = 0
    credits: int = 0


@dataclass(frozen=True, slots=True)
class BackendUse:
    """The model calls of a backend in analyses that are still kept; ``milliseconds`` in sum."""

    backend: str
    calls: int
    tokens: Tokens
    milliseconds: float
