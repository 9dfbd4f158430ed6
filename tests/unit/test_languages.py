"""Languages by name and by code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocelli.domain.languages import LANGUAGES, language_named


def test_there_are_160_and_each_knows_its_name() -> None:
    assert len(set(LANGUAGES)) == 160
    for name in LANGUAGES:
        assert language_named(name) == language_named(f" {name.upper()} ") == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("de", "German"),
        ("DEU", "German"),
        ("de_AT", "German"),
        ("en-GB-oxendict", "English"),
        ("zh", "Chinese"),
        ("zh-TW", "Chinese (Traditional)"),
        ("zh-Hans-CN", "Chinese (Simplified)"),
        ("nb", "Norwegian"),
        ("yiddish", "Yiddish yi"),
        ("Klingon", "English"),
        ("", "English"),
    ],
)
def test_codes(text: str, name: str) -> None:
    assert language_named(text) == name


@given(st.text())
def test_never_an_error(text: str) -> None:
    assert language_named(text) in LANGUAGES
