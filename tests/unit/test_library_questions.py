"""What a message asks about a library, and the markup of answers."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocelli.domain.date_phrases import period_in
from ocelli.domain.library_questions import LAST, Kind, Order, read_question
from ocelli.domain.references import cited, count_mark, picture_mark, plain, without_markup

NOW = datetime(2026, 11, 30, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    ("message", "kind", "text"),
    [
        ("Show me dogs on a beach", Kind.FIND, "dogs on a beach"),
        ("Do I have pictures of a red car?", Kind.FIND, "red car"),
        ("Are there any cats?", Kind.FIND, "cats"),
        ("zeige mir Hunde am Strand", Kind.FIND, "zeige mir Hunde am Strand"),
        ("list my photos", Kind.FIND, ""),
        ("How many pictures do I have?", Kind.COUNT, ""),
        ("How many photos show a bus or a train?", Kind.COUNT, "bus or a train"),
        ("What do I have in my library?", Kind.OVERVIEW, ""),
        ("Is there an elephant in any of them?", Kind.COUNT, "elephant"),
        ("Do some of these show a person?", Kind.COUNT, "person"),
        ("Describe all of them", Kind.ABOUT, "Describe"),
        ("Which tags are most common?", Kind.OVERVIEW, ""),
        ("sort them into folders by month", Kind.ORGANIZE, "sort them into folders by month"),
        ("What images do I have?", Kind.OVERVIEW, ""),
        ("give me a summary of all images", Kind.OVERVIEW, ""),
        ("Who is in the picture?", Kind.ABOUT, ""),
        ("delete all pictures", Kind.CHANGE, ""),
        ("Please remove the duplicates.", Kind.CHANGE, ""),
        ("rename a.jpg to holiday.jpg", Kind.CHANGE, ""),
        ("I want you to delete the blurry ones", Kind.CHANGE, ""),
        ("Can you get rid of screenshots?", Kind.CHANGE, ""),
        ("How do I delete a picture?", Kind.CHANGE, ""),
        ("tag these as holiday", Kind.CHANGE, ""),
        ("add the tag dog to all of them", Kind.CHANGE, ""),
        ("move all photos of cats to the trash", Kind.CHANGE, ""),
        ("create a folder for 2024", Kind.CHANGE, ""),
        ("rotate it", Kind.CHANGE, ""),
        ("a delete key", Kind.FIND, "delete key"),
        ("delete key on a keyboard", Kind.FIND, "delete key on a keyboard"),
        ("crop circles", Kind.FIND, "crop circles"),
        ("star wars figures", Kind.FIND, "star wars figures"),
        ("price tags", Kind.FIND, "price tags"),
        ("give me the names of all dogs", Kind.FIND, "names of dogs"),
        ("group these photos into folders", Kind.ORGANIZE, "group these photos into folders"),
        ("Hello", Kind.OTHER, ""),
        ("the and of", Kind.OTHER, ""),
        ("Why is the sky blue?", Kind.OTHER, "Why the sky blue"),
        ("Write a poem about love", Kind.OTHER, "Write a poem love"),
        ("", Kind.OTHER, ""),
    ],
)
def test_kinds(message: str, kind: Kind, text: str) -> None:
    read = read_question(message, NOW)
    assert (read.kind, read.text) == (kind, text)


def test_which_pictures_are_meant() -> None:
    def positions(message: str) -> tuple[Kind, tuple[int, ...]]:
        read = read_question(message, NOW)
        return read.kind, read.positions

    assert positions("Compare the first two pictures") == (Kind.COMPARE, (0, 1))
    assert positions("What differs between the first and the last one?") == (
        Kind.COMPARE,
        (0, LAST),
    )
    assert positions("Describe the second one") == (Kind.ABOUT, (1,))
    assert positions("what is in picture 3?") == (Kind.ABOUT, (2,))
    assert positions("How many people are in it?") == (Kind.ABOUT, ())
    assert positions("find more like the first one") == (Kind.SIMILAR, (0,))
    assert read_question("Sort them into folders by month", NOW).refers
    assert not read_question("Sort my pictures into folders by what they show", NOW).refers
    assert read_question("Which ones look most severe?", NOW).refers
    assert not read_question("Which one?", NOW).refers
    newest = read_question("compare the two newest photos", NOW)
    assert (newest.kind, newest.order, newest.limit) == (Kind.COMPARE, Order.NEWEST, 2)
    assert read_question("Compare a.jpg and b.png", NOW).filenames == ("a.jpg", "b.png")
    assert read_question("What is in beach_01.JPG?", NOW).filenames == ("beach_01.jpg",)
    assert read_question("How many of these show a person?", NOW).kind is Kind.COUNT
    assert read_question("When was it taken?", NOW).kind is Kind.WHEN


def test_filters() -> None:
    assert read_question("which pictures are mostly blue", NOW).color == "blue"
    assert read_question("show me a blue car", NOW).color is None
    assert read_question('Find pictures with the text "SALE"', NOW).written == "sale"
    assert read_question("pictures that say stop", NOW).written == "stop"
    assert read_question("What does the page say?", NOW).text == "page"
    newest = read_question("show me the last 5 photos", NOW)
    assert (newest.order, newest.limit) == (Order.NEWEST, 5)
    assert read_question("the oldest pictures of a horse", NOW).order is Order.OLDEST


@pytest.mark.parametrize(
    ("message", "written", "has_text"),
    [
        ("Which photos have visible text, and what does it say?", None, True),
        ("How many pictures have any text in them?", None, True),
        ("Do any photos show writing?", None, True),
        ("Which ones have words on them and which do not?", None, True),
        ("photos without text", None, False),
        ("photos that have no visible text", None, False),
        ("pictures with the text “STOP and what else”", "stop and what else", None),
        ("images that contain the word exit and are from 2020", "exit", None),
        ("Which picture has the words happy birthday on it?", "happy birthday", None),
        ("show me photos with text on a sign", "on a sign", None),
        ("What does the text say?", None, None),
    ],
)
def test_text_in_pictures(message: str, written: str | None, has_text: bool | None) -> None:
    read = read_question(message, NOW)
    assert (read.written, read.has_text) == (written, has_text)


@pytest.mark.parametrize(
    ("text", "since", "before"),
    [
        ("dogs from may 2024", "2024-05-01", "2024-06-01"),
        ("photos taken in 2023", "2023-01-01", "2024-01-01"),
        ("pictures since 2020", "2020-01-01", None),
        ("before 3 may 2024", None, "2024-05-03"),
        ("after may 3, 2024", "2024-05-04", None),
        ("between 2021 and 2019", "2019-01-01", "2022-01-01"),
        ("last week", "2026-11-23", "2026-11-30"),
        ("last month", "2026-10-01", "2026-11-01"),
        ("in the last 30 days", "2026-11-01", "2026-12-01"),
        ("summer 2022", "2022-06-01", "2022-09-01"),
        ("yesterday", "2026-11-29", "2026-11-30"),
    ],
)
def test_periods(text: str, since: str | None, before: str | None) -> None:
    found = period_in(text, NOW)
    assert found is not None
    days = [each and each.date().isoformat() for each in (found.since, found.before)]
    assert days == [since, before]


def test_what_names_no_period() -> None:
    for text in ("2001 a space odyssey", "before 2024-02-30", "29 february 2023", "may", ""):
        assert period_in(text, NOW) is None, text


@given(st.text(max_size=300))
def test_any_message_is_read(message: str) -> None:
    read = read_question(message, NOW)
    assert len(read.text) <= 300


@given(st.text(), st.uuids(), st.text(), st.integers(0, 10**6))
def test_marks_are_found_and_quoted_texts_hold_none(
    quoted: str, id: uuid.UUID, name: str, count: int
) -> None:
    assert cited(without_markup(quoted)) == ()
    mark = picture_mark(id, name)
    text = f"{without_markup(quoted)} {mark} and {count_mark('search_1')}"
    assert cited(text) == (id.hex[:8],)
    shown = plain(text, {"search_1": count})
    assert "[[" not in shown
    assert shown.endswith(f"and {count}")


@given(st.lists(st.sampled_from(["[", "]", "[[img:1|a]]", "[[ref:", "|", "x"]), max_size=12))
def test_quoted_markup_is_none(parts: list[str]) -> None:
    text = without_markup("".join(parts))
    assert plain(text, {"search_1": 1}) == text


def test_an_unknown_key_stays() -> None:
    assert plain("[[ref:gone]]", {}) == "[[ref:gone]]"
