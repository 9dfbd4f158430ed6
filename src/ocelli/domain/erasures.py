"""Erasure for good, the receipts of it, and for how long things are kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

MAX_PICTURES = 100  # of one erasure
OPERATOR = "operator"
RETENTION = "retention"


class ErasureKind(StrEnum):
    """What is erased: pictures of a tenant, or the tenant with all that it has."""

    PICTURES = "pictures"
    TENANT = "tenant"


class ErasureReason(StrEnum):
    """Why something is erased."""

    REQUEST = "request"
    RETENTION = "retention"


@dataclass(frozen=True, slots=True)
class Erasure:
    """An erasure, and when it is complete the receipt of it: ids and numbers, no content.

    ``requested_by`` is ``operator``, ``retention`` or ``key:ID``. ``counts`` are numbers of what
    was erased, by kind; ``objects_left`` lie in a bucket of the tenant's own that denies access.
    """

    id: UUID
    tenant_id: UUID
    kind: ErasureKind
    image_ids: Sequence[UUID]
    reason: ErasureReason
    requested_by: str
    requested_at: datetime
    completed_at: datetime | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RetentionDays:
    """After how many days what is erased; None: it is kept.

    Pictures count from their upload, chat sessions from their last message. The request log is
    kept for 30 days at most.
    """

    pictures: int | None = None
    chat_sessions: int | None = None
    request_log: int | None = None
