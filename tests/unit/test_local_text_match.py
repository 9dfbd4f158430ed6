import time

import pytest

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
