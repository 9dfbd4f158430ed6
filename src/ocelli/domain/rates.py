"""So many requests per key and minute, shared by all API processes: the arithmetic.

A process leases slices of a minute's budget and spends them without asking again. What it leases
ahead follows what it spent in the last second, so that a slow client's every request is counted
exactly where all can see it, and a fast one's costs a query per second. Nothing here waits or
knows a database; times are seconds of any clock that only goes forward.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocelli.domain.errors import RateLimited

if TYPE_CHECKING:
    from uuid import UUID

IDLE_TIMEOUT = 1.0  # seconds after which an unspent slice goes back
EMPTY_RETRY_INTERVAL = (
    1.0  # seconds for which "nothing is left" is believed: others may give some back
)
GROWTH = 8  # of a slice to the next: with 2 a thousand requests a second wait twice as often
LOW, FAST = 0.25, 8  # of a slice so large the next one is asked for when so much of it is left


@dataclass(frozen=True, slots=True)
class Budget:
    """What is counted: a key's requests on one route, or with the route '' on all of them."""

    key_id: UUID
    route: str
    per_minute: int


@dataclass(frozen=True, slots=True)
class Grant:
    """A slice of this minute.

    ``free`` is what is left for all processes after it, ``reset`` the end of the minute in Unix
    seconds, ``seconds_left`` the time until then.
    """

    granted: int
    free: int
    reset: int
    seconds_left: float


@dataclass(frozen=True, slots=True)
class RateState:
    """What the ``X-RateLimit-*`` headers say; ``reset`` is in Unix seconds.

    ``retry_after`` is 0, or the whole seconds to wait if the request is one too many.
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
        """Raise RateLimited if the share is used up."""
        if self.exceeded:
            raise RateLimited(
                f"More than {self.limit} requests in this minute. "
                f"Try again in {self.retry_after} s.",
                retry_after=self.retry_after,
            )


class Lease:
    """What one process holds of one budget."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._grant = Grant(0, 0, 0, 0.0)
        self._held = 0
        self._spent = 0  # since the last grant
        self._free = 0
        self._granted_at = self._spent_at = self._ends = -math.inf

    @property
    def reset(self) -> int:
        """The end of its minute in Unix seconds."""
        return self._grant.reset

    def has_ended(self, now: float) -> bool:
        """Whether its minute has ended."""
        return now >= self._ends

    def spend(self, now: float) -> RateState | None:
        """Count one request; None if a slice must be asked for first."""
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
        """Whether to ask for the next slice before a request has to wait for it."""
        granted = self._grant.granted
        return granted >= FAST and self._held < LOW * granted and not self.has_ended(now)

    def next_size(self, now: float) -> int:
        """How large a slice would last a second at the present pace; ``GROWTH`` times at most."""
        taken = max(now - self._granted_at, 0.001)
        return min(GROWTH * self._spent, int(self._spent / taken))

    def receive(self, grant: Grant, *, asked_at: float, now: float) -> None:
        """Hold what was granted. It ends by the time of asking, so never after the minute does."""
        of_the_same_minute = grant.reset == self._grant.reset and not self.has_ended(now)
        self._held = grant.granted + (self._held if of_the_same_minute else 0)
        self._grant, self._free, self._spent = grant, grant.free, 0
        self._ends = asked_at + grant.seconds_left
        self._granted_at = self._spent_at = now

    def give_back(self, now: float, *, idle: float = IDLE_TIMEOUT) -> int:
        """Let go of what was not wanted for ``idle`` seconds; how much that is."""
        if self.has_ended(now) or now - self._spent_at < idle:
            return 0
        unused, self._held = self._held, 0
        self._free += unused
        return unused
