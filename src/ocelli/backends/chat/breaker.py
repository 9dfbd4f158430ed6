"""A circuit breaker: who has failed over and over is left alone for a while. Pure but for a clock.

closed → (``failures`` in a row) → open → (after ``seconds``) → half-open: one probe goes through
→ closed if it succeeds, open again if it fails.
"""

from __future__ import annotations

import time
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class State(StrEnum):
    """See the module."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


class Breaker:
    """One backend's. An admitted caller reports ``succeeded``, ``failed`` or ``cancelled``."""

    def __init__(
        self, failures: int, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = failures
        self._seconds = seconds
        self._clock = clock
        self._in_a_row = 0
        self._opened_at: float | None = None
        self._probing = False

    @property
    def state(self) -> State:
        """The present state."""
        if self._opened_at is None:
            return State.CLOSED
        return State.OPEN if self.wait > 0 else State.HALF_OPEN

    @property
    def wait(self) -> float:
        """Seconds until the next attempt is allowed; 0 if it is now."""
        if self._opened_at is None:
            return 0.0
        return max(0.0, self._opened_at + self._seconds - self._clock())

    def admit(self) -> bool:
        """Return whether an attempt is allowed; while half-open, one at a time."""
        match self.state:
            case State.CLOSED:
                return True
            case State.HALF_OPEN if not self._probing:
                self._probing = True
                return True
            case _:
                return False

    def succeeded(self) -> None:
        """Count a success: the backend answered."""
        self._in_a_row = 0
        self._opened_at = None
        self._probing = False

    def failed(self) -> None:
        """Count a failure: the backend did not answer, or is overloaded."""
        self._in_a_row += 1
        if self._probing or self._in_a_row >= self._limit:
            self._opened_at = self._clock()
        self._probing = False

    def cancelled(self) -> None:
        """End an attempt that was cancelled here: it counts neither way."""
        self._probing = False
