"""File names and what is made of them."""

from __future__ import annotations

import doctest
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocelli.usecases import filenames
from ocelli.usecases.filenames import clean_filename, key_name

ANYTHING = st.text(st.characters(codec=None), max_size=400) | st.text("./\\ \0", max_size=20)


@given(ANYTHING)
def test_clean_names_are_harmless(name: str) -> None:
    clean = clean_filename(name)
    assert 1 <= len(clean) <= 255
    assert not set(clean) & set("/\\")
    assert clean not in (".", "..")
    assert all(unicodedata.category(c) not in ("Cc", "Cs") for c in clean)
    assert not set(clean) & set(
        "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    )
    assert clean_filename(clean) == clean


@given(ANYTHING)
def test_key_names_suit_every_store(name: str) -> None:
    assert re.fullmatch(r"\w[\w.\-]{0,99}", key_name(clean_filename(name)), re.ASCII) or (
        key_name(clean_filename(name))[0] == "-"
    )


def test_a_long_name_keeps_its_suffix() -> None:
    assert clean_filename("x" * 300 + ".jpeg").endswith("x.jpeg")
    assert key_name("x" * 300 + ".jpeg").endswith("x.jpeg")


@pytest.mark.parametrize(
    "name",
    [
        "می\u200cخواهم.jpg",  # Persian, with the non-joiner between its parts
        "क्\u200dष.png",  # Hindi, with a joiner
        "👨\u200d👩\u200d👧 ❤\ufe0f.jpg",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f.png",  # England
        "soft\u00adhyphen.jpg",
        "\u06001.jpg",  # ARABIC NUMBER SIGN
        "\uf8ff.jpg",  # of private use: shown by the systems that made it
        "u\u0308.jpg",
    ],
)
def test_format_characters_of_scripts_stay(name: str) -> None:
    assert clean_filename(name) == name


def test_examples() -> None:
    assert doctest.testmod(filenames).failed == 0
