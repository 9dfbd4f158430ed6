"""What a soak calls growth, and what it excuses."""

from __future__ import annotations

import pytest
from tests.soak.ledger import SETTLED, Asked, Ledger
from tests.soak.measures import WARM, Sample, growth, slope


def test_a_slope_is_that_within_each_life() -> None:
    """The second one begins lower, as a process that was started again: that is no shrinking."""
    first = [(float(at), 500 + at / 36) for at in range(0, 360, 10)]
    second = [(float(at), 200 + at / 36) for at in range(400, 700, 10)]
    assert slope([first, second]) == pytest.approx(100)
    assert slope([[(1.0, 5.0)], []]) is None


def test_processes_are_measured_once_they_are_warm() -> None:
    loading = [Sample(at, "worker", 7, 1.0, 10 * at, 9, 3) for at in range(0, int(WARM), 10)]
    warm = [Sample(WARM + at, "worker", 7, 1.0, 900, 9, 3) for at in range(10, 610, 10)]
    (worker,) = growth([*loading, *warm])
    assert (worker.lives, worker.mb) == (1, (900, 900))
    assert worker.per_hour == {"mb": 0, "files": 0, "threads": 0}


def test_a_disturbance_excuses_what_it_touched() -> None:
    ledger = Ledger(windows=[("api", 100.0, 110.0)])

    def is_excused(at: float, seconds: float = 1.0) -> bool:
        return ledger.is_disturbed(Asked("upload", at, seconds, "503"))

    assert is_excused(99.5)
    assert is_excused(105)
    assert is_excused(110 + SETTLED)
    assert not is_excused(98)
    assert not is_excused(111 + SETTLED)
