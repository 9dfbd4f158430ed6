"""Rate limits per key and minute, shared by all API processes: the arithmetic.

A process leases slices of a minute's budget and spends them without a query. The size of a slice
follows the requests of the last second: those of a slow client are counted in the database one by
one, those of a fast one cost a query per second. Nothing here waits or knows a database; times are
seconds of a monotonic clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocelli.domain.errors import RateLimited

if TYPE_CHECKING:
    from uuid import UUID

IDLE_TIMEOUT = 1.0  # seconds after which an unspent slice is given back
EMPTY_RETRY_INTERVAL = 1.0  # seconds between queries of an empty budget: slices may come back
GROWTH = 8  # from a slice to the next: with 2 a thousand requests a second wait twice as often
# The next slice is leased before the current one is spent, once less than this share is left ...
LOW = 0.25
FAST = 8  # ... of a slice of at least this size.


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit: the requests of a key on one route, or on all routes if ``route`` is empty."""

    key_id: UUID
    route: str
    per_minute: int


@dataclass(frozen=True, slots=True)
class Grant:
    """A slice of this minute's budget.

    ``free`` is the rest of the budget after it, for all processes; ``reset`` the end of the minute
    in Unix seconds; ``seconds_left`` the time until then.
    """

    granted: int
    free: int
    reset: int
    seconds_left: float


@dataclass(frozen=True, slots=True)
class RateState:
    """The values of the ``X-RateLimit-*`` headers; ``reset`` is in Unix seconds.

    ``retry_after`` is 0, or the whole seconds to wait if the request exceeds the limit.
    """

    limit: int
    remaining: int
    reset: int
    retry_after: int = 0

    @property
    def exceeded(self) -> bool:
        """Whether the request must be refused."""
        return self.retry_after > 0

    def enforce(self) -> None:
        """Raise RateLimited if the limit is exceeded."""
        if self.exceeded:
            raise RateLimited(
                f"More than {self.limit} requests in this minute. "
                f"Try again in {self.retry_after} s.",
                retry_after=self.retry_after,
            )


class Lease:
    """The slice of a budget that one process holds."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._grant = Grant(0, 0, 0, 0.0)
        self._held = 0
        self._spent = 0  # since the last grant
        self._free = 0
        self._granted_at = self._spent_at = self._ends = -math.inf

    @property
    def reset(self) -> int:
        """The end of the minute in Unix seconds."""
        return self._grant.reset

    def has_ended(self, now: float) -> bool:
        """Return whether the minute has ended."""
        return now >= self._ends

    def spend(self, now: float) -> RateState | None:
        """Count one request; None if a slice must be leased first."""
        if self.has_ended(now):
            return None
        if self._held:
            self._held -= 1
            self._spent += 1
            self._spent_at = now
            return RateState(self.budget.per_minute, self._held + self._free, self.reset)
        if self._free == 0 and now < self._granted_at + EMPTY_RETRY_INTERVAL:
            wait = max(1, math.ceil(self._ends - now))
            return RateState(self.budget.per_minute, 0, self.reset, wait)
        return None

    def is_low(self, now: float) -> bool:
        """Return whether to lease the next slice now, before a request has to wait for it."""
        granted = self._grant.granted
        return granted >= FAST and self._held < LOW * granted and not self.has_ended(now)

    def next_size(self, now: float) -> int:
        """Return the size of a slice for one second at the present rate.

        At most ``GROWTH`` times what was spent of the last one.
        """
        elapsed = max(now - self._granted_at, 0.001)
        return min(GROWTH * self._spent, int(self._spent / elapsed))

    def receive(self, grant: Grant, *, asked_at: float, now: float) -> None:
        """Add a granted slice.

        Its end is counted from ``asked_at``, before the query, so it never outlasts the minute.
        """
        is_same_minute = grant.reset == self._grant.reset and not self.has_ended(now)
        self._held = grant.granted + (self._held if is_same_minute else 0)
        self._grant, self._free, self._spent = grant, grant.free, 0
        self._ends = asked_at + grant.seconds_left
        self._granted_at = self._spent_at = now

    def give_back(self, now: float, *, idle: float = IDLE_TIMEOUT) -> int:
        """Release a slice that was not used for ``idle`` seconds; return its unspent requests."""
        if self.has_ended(now) or now - self._spent_at < idle:
            return 0
        unused, self._held = self._held, 0
        self._free += unused
        return unused
