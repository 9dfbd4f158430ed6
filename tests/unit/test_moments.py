"""A day as an end is that whole day, on every route that takes one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter

from ocelli.api.aion.common import Moment
from ocelli.domain.timestamps import moment


@pytest.mark.parametrize(
    ("given", "first_beyond"),
    [
        ("2026-05-10", datetime(2026, 5, 11, tzinfo=UTC)),
        ("2026-05-10T00:00:00Z", datetime(2026, 5, 10, 0, 0, 0, 1, tzinfo=UTC)),
        ("2026-05-10T10:00:00", datetime(2026, 5, 10, 10, 0, 0, 1, tzinfo=UTC)),
    ],
)
def test_a_day_as_an_end(given: str, first_beyond: datetime) -> None:
    read = TypeAdapter[Moment](Moment)
    assert moment(read.validate_python(given), end_of_day=True) == first_beyond
    assert moment(read.validate_json(f'"{given}"'), end_of_day=True) == first_beyond
