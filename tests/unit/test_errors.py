"""Errors keep what they say on their way between processes."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest

from ocelli.domain import errors


def every() -> list[errors.OcelliError]:
    """One of each kind, with something for every parameter."""
    kinds = [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.OcelliError)
    ]
    return [
        kind(**{name: _value(name) for name in list(inspect.signature(kind).parameters)})
        for kind in kinds
    ]


def _value(name: str) -> Any:
    return {"details": {"given": 1}, "retry_after": 7}.get(name, f"the {name}")


@pytest.mark.parametrize("error", every(), ids=lambda error: type(error).__name__)
def test_an_error_of_another_process(error: errors.OcelliError) -> None:
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)
