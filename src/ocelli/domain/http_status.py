"""Which HTTP statuses allow a retry."""

from __future__ import annotations

_NEVER = frozenset({501, 505, 510, 511})  # the server cannot, now or later
_LATER = frozenset({408, 409, 425, 429})


def can_be_retried(status: int) -> bool:
    """Return whether a retry after this status may succeed. All HTTP clients here use this table.

    >>> can_be_retried(503), can_be_retried(501), can_be_retried(409), can_be_retried(404)
    (True, False, True, False)
    """
    return status in _LATER or (status >= 500 and status not in _NEVER)
