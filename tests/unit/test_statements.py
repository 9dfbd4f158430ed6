"""What a model says of pictures, against what is stored of them."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.integration.test_storage import an_image

from ocelli.backends.local.evidence_verdicts import judge
from ocelli.domain.claims import Claim, ClaimType, Ruling
from ocelli.domain.effective import effective
from ocelli.domain.findings import LOCAL, Box, Color, DetectedObject, Findings, TextLine
from ocelli.domain.known_pictures import KnownPicture
from ocelli.domain.statements import check_counts, check_statement

BOX = Box(0.1, 0.1, 0.5, 0.5)
IMAGE = an_image(uuid.uuid4())
PICTURE = KnownPicture(
    IMAGE,
    effective(IMAGE),
    Findings(
        LOCAL,
        "1",
        objects=(DetectedObject("dog", 0.9, BOX), DetectedObject("dog", 0.9, BOX)),
        texts=(TextLine("SALE 50%", 0.95, BOX),),
        colors=(Color("#ff0000", "red", 0.99),),
    ),
    kept=(
        Claim("There are two dogs.", ClaimType.COUNT, "dog", 2),
        Claim("The car is red.", ClaimType.ATTRIBUTE, "car", value="red"),
        Claim("Snow lies on a roof.", ClaimType.OTHER),
    ),
    refuted=(
        Claim("There is a cat.", ClaimType.OBJECT, "cat"),
        Claim("It is raining.", ClaimType.OTHER),
    ),
)


@pytest.mark.parametrize(
    ("statement", "ruling"),
    [
        ("There are two dogs.", Ruling.SUPPORTED),
        ("There is a dog.", Ruling.SUPPORTED),
        ("There are five dogs.", Ruling.CONTRADICTED),
        ("There are no dogs.", Ruling.CONTRADICTED),
        ("The car is red.", Ruling.SUPPORTED),
        ("The car is blue.", Ruling.CONTRADICTED),
        ("There is a cat.", Ruling.CONTRADICTED),
        ("There are three cats.", Ruling.CONTRADICTED),
        ("It is raining.", Ruling.CONTRADICTED),
        ("Snow on a roof.", Ruling.SUPPORTED),
        ("There are three roofs.", Ruling.UNKNOWN),
        ("Snow does not lie on a roof.", Ruling.UNKNOWN),
        ("The sign says “SALE 50%”.", Ruling.SUPPORTED),
        ("The sign says “CLOSED”.", Ruling.CONTRADICTED),
        ("The owner is proud of this moment.", Ruling.UNKNOWN),
        ("There are two dogs. There is a cat.", Ruling.CONTRADICTED),
    ],
)
def test_statements(statement: str, ruling: Ruling) -> None:
    assert check_statement(statement, [PICTURE], judge) is ruling


def test_a_statement_about_several_must_hold_for_each() -> None:
    bare = an_image(uuid.uuid4())
    other = KnownPicture(bare, effective(bare), None, (), ())
    assert check_statement("There is a dog.", [PICTURE, other], judge) is Ruling.UNKNOWN


def test_counts() -> None:
    assert check_counts("I found 12 matching pictures.", {12}) is Ruling.SUPPORTED
    assert check_counts("No picture shows a cat, twelve images do.", {0, 12}) is Ruling.SUPPORTED
    assert check_counts("There are 1,200 photos.", {12}) is Ruling.CONTRADICTED
    assert check_counts("They were taken in 2024.", {12}) is Ruling.UNKNOWN


@given(st.text(max_size=200))
def test_any_statement_is_judged(statement: str) -> None:
    assert check_statement(statement, [PICTURE], judge) in Ruling
    assert check_counts(statement, {1}) in Ruling
