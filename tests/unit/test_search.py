"""What may be written into the search box, and how texts are folded."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ocelli.domain.search import LONGEST_WORD, SearchMode, Term, fold, parse, words
from ocelli.domain.timestamps import moment

WORD = r"'[^'\\\s]+'(?::\*?[A-D]*)?"
ATOM = rf"!?\(?{WORD}(?: <-> {WORD})*\)?"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Straße", ["strasse"]),
        ("CAFÉ crème", ["cafe", "creme"]),
        ("AT&T co-op", ["at", "t", "co", "op"]),
        ("ＦＵＬＬ　width", ["full", "width"]),
        ("東京タワー", ["東", "京", "タ", "ワ", "ー"]),
        ("한국어 서울", ["한", "국", "어", "서", "울"]),
        ("Привет, мир!", ["привет", "мир"]),
        ("हिन्दी", ["हिन्दी"]),
        ("ไทย กิน", ["ไ", "ท", "ย", "กิ", "น"]),
        ("Iğdır IĞDIR", ["igdir", "igdir"]),
        ("IMG_0012.JPG", ["img", "0012", "jpg"]),
        ("it's\0'; DROP TABLE--", ["it", "s", "drop", "table"]),
        ("🙂", ["u1f642"]),
        ("👍🏽👍", ["u1f44d", "u1f44d"]),
        ("❤️❤", ["u2764", "u2764"]),
        ("👩🏽‍🚀", ["u1f469", "u1f680"]),
        ("🇩🇪", ["u1f1e9", "u1f1ea"]),
        ("1️⃣", ["1"]),
        ("Łódź Đà Nẵng smørrebrød", ["lodz", "da", "nang", "smorrebrod"]),
        ("cœur Ægir þorn Ðið ħal Ŋ ƒ", ["coeur", "aegir", "thorn", "did", "hal", "ng", "f"]),
        ("مُحَمَّد ـمحمـــد أحمد آب", ["محمد", "محمد", "احمد", "اب"]),
        ("שָׁלוֹם שלום", ["שלום", "שלום"]),
        ("ܫܠܳܡܳܐ", ["ܫܠܡܐ"]),
        ("می\u200cخواهم", ["میخواهم"]),
        ("soft\u00adhyphen zero\u200bwidth", ["softhyphen", "zero", "width"]),
        ("٢٠٢٤ १२", ["2024", "12"]),
        ("がか", ["が", "か"]),
        ("Ελλάδα ЁЛКА", ["ελλαδα", "елка"]),
        ("ﬁn №5 ½", ["fin", "no5", "1", "2"]),
        ("㊗ Ⅷ", ["祝", "viii"]),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@given(st.text(st.characters(max_codepoint=127)))
def test_plain_letters_are_folded_like_all(text: str) -> None:
    assert words(text) == words(f"{text} é")[:-1]


@given(st.text())
@example("ı")
def test_folded_words_are_harmless_and_stay_as_they_are(text: str) -> None:
    for word in words(text):
        assert 0 < len(word) <= LONGEST_WORD
        assert not set(word) & set(" '\"\\:*&|!<>()\0")
    assert fold(fold(text)) == fold(text)
    assert words(text.upper().lower()) == words(text.lower())


@given(st.text(st.sampled_from("ab \"-or'\\:*&|!()<>東é\0 "), max_size=40) | st.text())
def test_every_text_is_a_search_that_postgres_can_read(text: str) -> None:
    for mode in SearchMode:
        expression = parse(text).expression(mode)
        if expression:
            alternative = rf"\({ATOM}(?: & {ATOM})*\)"
            assert re.fullmatch(rf"{alternative}(?: \| {alternative})*", expression), expression


@given(st.lists(st.text(st.characters(categories=["Ll"], max_codepoint=0x7E), min_size=1)))
def test_plain_words_are_all_wanted(plain: list[str]) -> None:
    wanted = [word for word in plain if word != "or"]
    search = parse(" ".join(wanted) + " ")
    found = [term for terms in search.alternatives for term in terms]
    assert found == [Term((word[:LONGEST_WORD],)) for word in wanted]


def test_syntax() -> None:
    search = parse('"red car" -bus or zeb')
    assert search.alternatives == (
        (Term(("red", "car")), Term(("bus",), required=False)),
        (Term(("zeb",), prefix=True),),
    )
    assert parse("東京").alternatives == ((Term(("東", "京")),),)


@pytest.mark.parametrize("text", ["ze", "zebra ", '"zebra"', "zebra!", "-zebra"])
def test_what_does_not_go_on(text: str) -> None:
    assert not any(term.prefix for terms in parse(text).alternatives for term in terms)


@pytest.mark.parametrize(
    ("given_moment", "first", "after"),
    [
        (date(2026, 1, 31), "2026-01-31T00:00:00+00:00", "2026-02-01T00:00:00+00:00"),
        (datetime(2026, 1, 1), "2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00.000001+00:00"),
        (
            datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2))),
            "2026-01-01T00:00:00+02:00",
            "2026-01-01T00:00:00.000001+02:00",
        ),
        (date.max, "9999-12-31T00:00:00+00:00", "9999-12-31T00:00:00+00:00"),
    ],
)
def test_moments(given_moment: date, first: str, after: str) -> None:
    begin, end = moment(given_moment), moment(given_moment, end_of_day=True)
    assert begin is not None
    assert end is not None
    assert (begin.isoformat(), end.isoformat()) == (first, after)
    assert begin.astimezone(UTC) <= end.astimezone(UTC)
