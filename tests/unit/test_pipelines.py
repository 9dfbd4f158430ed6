"""Steps are linked, and statements compared with what is stored."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.test_organizing import a_picture

from ocelli.domain.claims import Ruling
from ocelli.domain.effective import EffectiveClaim
from ocelli.domain.errors import ValidationFailed
from ocelli.domain.picture_facts import stored_together
from ocelli.domain.pipelines import linked, waves
from ocelli.domain.reports import (
    NOT_CHECKED,
    Section,
    Statement,
    counted_report,
    plain,
    written_report,
)
from ocelli.domain.statements import check_statement


def a_claim(text: str, *, kept: bool = True) -> EffectiveClaim:
    return EffectiveClaim(text, text, kept=kept, in_description=True, probability=0.9)


CUPS = a_picture(
    "cup",
    description="Two cups on a table.",
    claims=(a_claim("There are two cups."), a_claim("A cat sleeps.", kept=False)),
)


TWICE = stored_together([CUPS, CUPS])


def test_steps_that_name_none_follow_searches_and_the_one_before() -> None:
    steps = linked(
        [
            ("image_search", "a", None),
            ("image_search", "b", None),
            ("analysis", "c", None),
            ("assistant", "d", None),
            ("analytics", "e", [0]),
            ("chat", "f", []),
        ]
    )
    assert [each.depends_on for each in steps] == [(), (), (0, 1), (0, 1, 2), (0,), ()]
    assert waves(steps) == [[0, 1, 5], [2, 4], [3]]


@pytest.mark.parametrize(
    "step",
    [
        ("analysis", "x", [1]),
        ("analysis", "x", [-1]),
        ("analysis", "x", [2]),
        ("document_search", "x", None),
        ("magic", "x", None),
    ],
)
def test_pipelines_that_are_none(step: tuple[str, str, list[int] | None]) -> None:
    with pytest.raises(ValidationFailed):
        linked([("image_search", "a", None), step])


@pytest.mark.parametrize(
    ("said", "ruling"),
    [
        ("There are two cups.", Ruling.SUPPORTED),
        ("Cups stand on a table.", Ruling.UNKNOWN),
        ("There are three cups.", Ruling.CONTRADICTED),
        ("A cat sleeps.", Ruling.CONTRADICTED),
        ("The owner was happy.", Ruling.UNKNOWN),
        ("", Ruling.UNKNOWN),
    ],
)
def test_statements_about_a_picture_of_a_report(said: str, ruling: Ruling) -> None:
    assert check_statement(said, [stored_together([CUPS])]) is ruling


def test_statements_about_nothing_or_much() -> None:
    assert check_statement("There are two cups.", [stored_together([])]) is Ruling.UNKNOWN
    assert check_statement("There are two cups.", [TWICE]) is Ruling.SUPPORTED
    assert check_statement("There are three cups.", [TWICE]) is Ruling.UNKNOWN
    assert check_statement("There are no cups.", [TWICE]) is Ruling.CONTRADICTED


def test_a_written_report_is_checked() -> None:
    section = Section(
        "Cups",
        (
            Statement("There are two cups.", (0,)),
            Statement("There are five cups.", (0,)),
            Statement("They were a gift.", (0,)),
            Statement("A cat sleeps.", (0,)),
        ),
    )
    report = written_report("cups", "Cups", "Two cups.", [section], [CUPS])
    assert "- There are two cups. \\[1\\]\n" in report.text
    assert "five" not in report.text
    assert "cat" not in report.text
    assert f"- They were a gift. \\[1\\] {NOT_CHECKED}" in report.text
    assert "2 statements were left out" in report.text
    assert report.summary == "Two cups."
    false = written_report("cups", "Cups", "There are nine cups.", [], [CUPS])
    assert "nine" not in false.summary


def test_a_counted_report() -> None:
    sign = a_picture("sign", "street", title="A [sign](x)", visible_text="STOP\n# here")
    report = counted_report("What is there?", [CUPS, sign, replace(sign, title=None)])
    assert report.summary.startswith("3 pictures of 2025-03-09; 3 described.")
    assert "- sign: 2 pictures\n" in report.text
    assert "- There are two cups. \\[1\\]" in report.text
    assert "cat" not in report.text
    assert "“STOP \\# here” \\[2\\]" in report.text
    assert "2. A \\[sign\\](x) (`" in report.text
    assert "without a language model" in report.text
    assert counted_report("x", []).summary == "There are no pictures to report on."
    assert plain("x" * 400).endswith("…")
