"""How many processors this process may use."""

from __future__ import annotations

import os


def processors() -> int:
    """Return their number: those of its affinity, where the system has such a thing."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
