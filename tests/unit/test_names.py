"""File names and what is made of them."""

from __future__ import annotations

import doctest
import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from ocelli.usecases import names
from ocelli.usecases.names import clean_filename, key_name

ANYTHING = st.text(st.characters(codec=None), max_size=400) | st.text("./\\ \0", max_size=20)


@given(ANYTHING)
def test_clean_names_are_harmless(name: str) -> None:
    clean = clean_filename(name)
    assert 1 <= len(clean) <= 255
    assert not set(clean) & set("/\\")
    assert clean not in (".", "..")
    assert all(unicodedata.category(c) not in ("Cc", "Cf", "Cs") for c in clean)
    assert clean_filename(clean) == clean


@given(ANYTHING)
def test_key_names_suit_every_store(name: str) -> None:
    assert re.fullmatch(r"\w[\w.\-]{0,99}", key_name(clean_filename(name)), re.ASCII) or (
        key_name(clean_filename(name))[0] == "-"
    )


def test_a_long_name_keeps_its_suffix() -> None:
    assert clean_filename("x" * 300 + ".jpeg").endswith("x.jpeg")
    assert key_name("x" * 300 + ".jpeg").endswith("x.jpeg")


def test_examples() -> None:
    assert doctest.testmod(names).failed == 0
