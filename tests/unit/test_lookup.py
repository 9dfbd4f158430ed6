from __future__ import annotations

import uuid

import pytest

from ocelli.domain.errors import NotFound
from ocelli.usecases.lookup import existing, parse_id


def test_what_is_there_is_given_as_it_is() -> None:
    assert existing(0, "Session", "x") == 0
    id = uuid.uuid4()
    assert parse_id("Session", str(id)) == id


@pytest.mark.parametrize("id", ["", "x", "1" * 31, "é" * 32])
def test_a_text_that_is_no_id_names_nothing(id: str) -> None:
    with pytest.raises(NotFound, match="Session not found") as failed:
        parse_id("Session", id)
    assert failed.value.details == {"resource": "Session", "id": id}


def test_what_is_not_there_is_named() -> None:
    id = uuid.uuid4()
    with pytest.raises(NotFound) as failed:
        existing(None, "Batch", id)
    assert failed.value.details == {"resource": "Batch", "id": str(id)}
