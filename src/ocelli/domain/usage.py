"""What a tenant used, in whole units."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date
    from uuid import UUID

    from ocelli.domain.analysis import VerificationLevel


class Limit(Enum):
    """Of a tier: what can be used up."""

    MONTH = "month"
    STORAGE = "storage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What something takes of a tenant's meters, and how far those may go; None: any distance."""

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
    """What was delivered in some days, for one operation and level."""

    operation: str
    level: VerificationLevel
    succeeded: int
    failed: int
    credits: int
    milliseconds: float
