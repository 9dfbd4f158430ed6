"""Which HTTP statuses allow a retry, and when."""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_NEVER = frozenset({501, 505, 510, 511})  # the server cannot, now or later
_LATER = frozenset({408, 409, 425, 429})
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


def can_be_retried(status: int) -> bool:
    """Return whether a retry after this status may succeed. All HTTP clients here use this table.

    >>> can_be_retried(503), can_be_retried(501), can_be_retried(409), can_be_retried(404)
    (True, False, True, False)
    """
    return status in _LATER or (status >= 500 and status not in _NEVER)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds of a Retry-After header (a number or a date), or ``retry-after-ms``."""
    milliseconds = headers.get("Retry-After-Ms", "").strip()
    if _NUMBER.fullmatch(milliseconds):
        return float(milliseconds) / 1000
    value = headers.get("Retry-After", "").strip()
    if _NUMBER.fullmatch(value):
        return float(value)
    try:
        then = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max(0.0, (then - now).total_seconds())
