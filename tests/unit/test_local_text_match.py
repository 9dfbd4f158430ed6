import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from ocelli.backends.local.text_match import best_match, legible, words_of
from ocelli.domain.findings import Box, TextLine


def lines(*texts: str) -> list[TextLine]:
    return [TextLine(text, 0.95, Box(0, 0, 1, 0.1)) for text in texts]


@pytest.mark.parametrize(
    ("wanted", "read"),
    [
        ("EXIT", "exit"),
        ("Café, 24h!", "CAFE 24h"),
        ("OPEN DAILY", "WE AREOPENDAILY"),
        ("a b", "x a b y"),
        ("Region-based segm…", "Region-based segmentation"),
        ("…", "…"),
    ],
)
def test_the_same_text(wanted: str, read: str) -> None:
    if legible(wanted):
        assert best_match(wanted, lines("first line", read, "last")).similarity == 1.0


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [("MARKET", "MARKED"), ("OPEN 24", "OPFN 24"), ("CAR", "CAT"), ("HOTEL RITZ", "HOTEL RIT2")],
)
def test_a_misread_word_is_found(wanted: str, shown: str) -> None:
    match = best_match(wanted, lines("welcome to", f"the {shown} of today"))
    assert match.is_similar
    assert match.similarity < 1
    assert match.text == shown


def test_part_of_another_word_is_not_the_word() -> None:
    assert not best_match("cat", lines("catalogue")).is_similar
    assert not best_match("garden", lines("motorway", "exit")).is_similar
    assert not best_match("anything", []).is_similar


def test_noise_in_a_long_line() -> None:
    said = "unambiguously as either object or background"
    match = best_match(said, lines("unambiguously as eithcr object or background"))
    assert match.is_noise
    assert not best_match("MARKET", lines("MARKED")).is_noise


def test_scripts_that_cannot_be_read() -> None:
    assert legible("Übung 3 µm")
    assert legible("出口")
    assert not legible("выход")
    assert not legible("...")
    assert words_of("Ça, ÉTÉ!") == ["ca", "ete"]


def test_a_page_takes_no_time() -> None:
    page = lines(*["lorem ipsum dolor sit amet consectetur adipiscing elit sed do"] * 50)
    start = time.thread_time()
    best_match("quick brown fox " * 100, page)
    assert time.thread_time() - start < 2


WORDS = st.lists(st.text("abcd", max_size=4), max_size=6)


@given(st.text("abcd", min_size=1, max_size=9), WORDS)
def test_the_nearest_run_of_words_is_as_near_as_any(wanted: str, words: list[str]) -> None:
    match = best_match(f"{wanted}…", lines(" ".join(words)))
    runs = [
        "".join(words[first:end])
        for end in range(1, len(words) + 1)
        for first in range(end)
        if any(words[first:end])
    ]
    if wanted in "".join(words):
        assert match.similarity == 1.0
    elif match.similarity:
        said = match.text.replace(" ", "")
        assert said in runs
        nearest = min(Levenshtein.distance(wanted, run) for run in runs)
        assert Levenshtein.distance(wanted, said) == nearest
    else:
        assert all(Levenshtein.distance(wanted, run) >= len(wanted) for run in runs)


def test_a_mark_of_its_own_before_a_word_is_not_part_of_it() -> None:
    assert best_match("MARKET", lines("- MARKED -")).text == "MARKED"
