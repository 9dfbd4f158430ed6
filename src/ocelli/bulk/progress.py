"""How far a run has come: its rate, the time that is left, the cost so far."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocelli.bulk.account import Account

WINDOW = 60.0  # seconds over which the rate is measured


class Progress:
    """About the rows of ``account``. ``expected`` is how many there will be, once that is known."""

    def __init__(self, account: Account, clock: Callable[[], float] = time.monotonic) -> None:
        self._account = account
        self._clock = clock
        self._points: deque[tuple[float, int]] = deque()
        self.expected: int | None = None

    def expect(self, count: Callable[[], int | None], at_most: int | None) -> None:
        """Find out in a thread of its own how many there will be."""

        def work() -> None:
            try:
                number = count()
            except Exception:  # the run itself meets the same, and reports it
                return
            if number is not None:
                self.expected = number if at_most is None else min(number, at_most)

        threading.Thread(target=work, name="counting", daemon=True).start()

    def line(self) -> str:
        """Return one line for people, without its end."""
        now, rows = self._clock(), sum(self._account.now.values())
        self._points.append((now, rows))
        while len(self._points) > 2 and now - self._points[1][0] >= WINDOW:
            self._points.popleft()
        then, before = self._points[0]
        rate = (rows - before) / (now - then) if now > then else 0.0
        total = self._account.rows
        parts = [f"{total:,}"]
        if self.expected is not None:
            share = total / self.expected if self.expected else 1.0
            parts = [f"{total:,} of {self.expected:,} ({share:.0%})"]
        parts.append(f"{rate:.2g}/s" if rate < 10 else f"{rate:,.0f}/s")
        if self.expected is not None and rate:
            parts.append(f"{_duration((self.expected - total) / rate)} left")
        parts.append(cost_text(self._account))
        return " · ".join(parts)


def cost_text(account: Account) -> str:
    """Return what a run has cost, for people."""
    text = f"{account.cost:,.2f} USD" if account.cost >= 1 else f"{account.cost:.4f} USD"
    return f"{text}, {account.unpriced:,} without a price" if account.unpriced else text


def _duration(seconds: float) -> str:
    minutes = max(0, round(seconds / 60))
    if minutes < 1:
        return f"{max(0, round(seconds))} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
