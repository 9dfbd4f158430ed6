"""When to try again, when to stop trying, and how much at once. Pure: no clock, no I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from aion.exceptions import (
    AionvisionConnectionError,
    AionvisionError,
    AionvisionTimeoutError,
    QuotaExceededError,
    RateLimitError,
)

_ID = re.compile(r"/(?:[0-9a-fA-F-]{8,}|[^/]*_[^/]*)(?=/|$)")
TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


def is_transient(error: AionvisionError) -> bool:
    """Whether the same request can succeed in a moment."""
    if isinstance(error, AionvisionConnectionError | AionvisionTimeoutError):
        return not error.details.get("permanent", False)
    if isinstance(error, QuotaExceededError):  # a 429 among them: waiting does not help
        return False
    status = error.details.get("status")
    # 409 with Retry-After: our own first try is still counted as running (its server has died).
    return status in TRANSIENT_STATUSES or (
        status == 409 and error.details.get("retry_after") is not None
    )


def is_outage(error: AionvisionError) -> bool:
    """Whether the server, not the request, is at fault: what a circuit breaker counts."""
    return is_transient(error) and not isinstance(error, RateLimitError)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long to wait, in seconds.

    The wait is drawn from the whole interval up to an exponentially growing bound ("full
    jitter"), so that many clients do not come back at once. A ``Retry-After`` is a minimum.
    """

    max_retries: int = 3
    base_delay: float = 1.0
    max_delay: float = 60.0
    max_retry_after: float = 300.0
    outage_timeout: float = 0.0  # beyond max_retries, while a server that worked is away

    def delay(
        self, attempt: int, error: AionvisionError, chance: float, elapsed: float = 0.0
    ) -> float | None:
        """Seconds until attempt ``attempt + 1``, or None to give up.

        Args:
            attempt: 0 for the first one, which has just failed.
            error: why it failed.
            chance: a random number from 0 to 1.
            elapsed: seconds since the first failure.

        >>> policy = RetryPolicy(max_retries=3, base_delay=1.0)
        >>> policy.delay(2, AionvisionConnectionError(), chance=0.5)
        2.0
        >>> policy.delay(0, RateLimitError(retry_after=7.0, details={"status": 429}), 0.0)
        7.0
        """
        if not is_transient(error) or not self._goes_on(attempt, error, elapsed):
            return None
        exponent = min(attempt, self.max_retries, 30)
        wait = chance * min(self.max_delay, self.base_delay * 2.0**exponent)
        asked = error.details.get("retry_after")
        if asked is None:
            return wait
        return None if asked > self.max_retry_after else asked + min(wait, 1.0)

    def _goes_on(self, attempt: int, error: AionvisionError, elapsed: float) -> bool:
        if attempt < self.max_retries:
            return True
        return self.max_retries > 0 and is_outage(error) and elapsed < self.outage_timeout


@dataclass(slots=True)
class CircuitBreaker:
    """Stops asking an endpoint that fails again and again.

    closed → (``failure_threshold`` failures in a row) → open → (``timeout`` seconds) → half-open
    → (``success_threshold`` successes) → closed, or (one failure) → open.
    """

    failure_threshold: int = 5
    success_threshold: int = 2
    timeout: float = 30.0
    failures: int = 0
    successes: int = 0
    opened_at: float | None = None

    def blocked_for(self, now: float) -> float:
        """Seconds until a request may be tried; 0.0 if it may now."""
        return 0.0 if self.opened_at is None else max(0.0, self.opened_at + self.timeout - now)

    def succeeded(self) -> None:
        """A request came back."""
        self.failures = 0
        if self.opened_at is not None:
            self.successes += 1
            if self.successes >= self.success_threshold:
                self.opened_at = None

    def failed(self, now: float) -> None:
        """A request failed for good, retries included."""
        self.failures += 1
        self.successes = 0
        if self.opened_at is not None or self.failures >= self.failure_threshold:
            self.opened_at = now


@dataclass(slots=True)
class Breakers:
    """One breaker per endpoint."""

    failure_threshold: int = 5
    success_threshold: int = 2
    timeout: float = 30.0
    _breakers: dict[str, CircuitBreaker] = field(default_factory=dict)

    def __getitem__(self, endpoint: str) -> CircuitBreaker:
        if endpoint not in self._breakers:
            self._breakers[endpoint] = CircuitBreaker(
                self.failure_threshold, self.success_threshold, self.timeout
            )
        return self._breakers[endpoint]


def endpoint_of(method: str, path: str) -> str:
    """The endpoint that a path belongs to, ids replaced.

    >>> endpoint_of("GET", "/user-files/550e8400-e29b-41d4-a716-446655440000/download")
    'GET /user-files/{id}/download'
    """
    return f"{method} {_ID.sub('/{id}', path)}"


@dataclass(slots=True)
class Window:
    """How many requests may be under way at once: one more per full round that went well,
    half as many when the server is overloaded."""

    limit: float = 8.0
    ceiling: int = 16

    @property
    def size(self) -> int:
        """The number now, at least 1."""
        return max(1, int(self.limit))

    def adjust(self, *, overloaded: bool) -> None:
        """A request has ended; the server asked for less meanwhile, or it did not."""
        if overloaded:
            self.limit = max(1.0, self.limit / 2.0)
        else:
            self.limit = min(float(self.ceiling), self.limit + 1.0 / max(self.limit, 1.0))


def backoff(delay: float, ceiling: float) -> float:
    """The next polling interval in seconds: half as long again, up to ``ceiling``."""
    return min(ceiling, delay * 1.5)
