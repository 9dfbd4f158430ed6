"""What evidence may say about a claim."""

import pytest
from hypothesis import given
from tests.unit.local_findings import findings, found

from ocelli.backends.local.class_names import NEAR, basic_color, detectable
from ocelli.backends.local.evidence_verdicts import judge, weakest
from ocelli.domain.claims import Claim, ClaimType, Ruling, Stand
from ocelli.domain.findings import (
    Box,
    Color,
    DetectedObject,
    Face,
    Findings,
    Safety,
    SceneLabel,
    TextLine,
)
from ocelli.domain.sentences import claims_from_text
from ocelli.media.colors import names

LEFT, RIGHT = Box(0.0, 0.2, 0.2, 0.4), Box(0.7, 0.2, 0.9, 0.4)


@given(findings)
def test_nothing_that_was_found_is_contradicted(parts: Findings) -> None:
    for claim in found(parts).claims:
        verdict = judge(claim, parts)
        if verdict is not None:
            assert verdict.ruling is not Ruling.CONTRADICTED, (claim, verdict)
            assert verdict.stand is Stand.EVIDENCE
            assert 0 < verdict.strength < 1


SEEN = Findings(
    "ocelli-local",
    "1",
    objects=(
        DetectedObject("person", 0.9, LEFT),
        DetectedObject("dog", 0.9, RIGHT),
        DetectedObject("cup", 0.6, LEFT),
    ),
    scenes=(SceneLabel("dog", 0.9), SceneLabel("Beagle", 0.7), SceneLabel("beach", 0.4)),
    texts=(TextLine("HARBOUR MARKET", 0.95, LEFT),),
    faces=(Face(0.9, LEFT), Face(0.9, RIGHT)),
    colors=(Color("#c00010", "red", 0.6), Color("#f0f0f0", "white", 0.4)),
    safety=Safety(0.1),
)
NO_TEXT = Findings("ocelli-local", "1")
S, C, U = Ruling.SUPPORTED, Ruling.CONTRADICTED, Ruling.UNSEEN


def ruling(claim: Claim, seen: Findings = SEEN) -> Ruling | None:
    verdict = judge(claim, seen)
    return verdict.ruling if verdict else None


@pytest.mark.parametrize(
    ("type", "subject", "value", "count", "expected"),
    [
        (ClaimType.TEXT, None, "Harbour Market", None, S),
        (ClaimType.TEXT, None, "MARKET", None, S),
        (ClaimType.TEXT, None, "HARBOR MARKED", None, C),
        (ClaimType.TEXT, None, "OPEN", None, C),
        (ClaimType.TEXT, None, "выход", None, None),
        (ClaimType.TEXT, None, None, None, None),
        (ClaimType.OBJECT, "dog", None, None, S),
        (ClaimType.OBJECT, "puppies", None, None, S),
        (ClaimType.OBJECT, "Beagle", None, None, S),
        (ClaimType.OBJECT, "large brown dog", None, None, S),
        (ClaimType.OBJECT, "woman", None, None, S),
        (ClaimType.OBJECT, "horse", None, None, U),  # the detector may have missed it
        (ClaimType.OBJECT, "spaceship", None, None, None),
        (ClaimType.OBJECT, "tripod", None, None, U),
        (ClaimType.OBJECT, None, None, None, None),
        (ClaimType.COUNT, "dog", None, 1, S),
        (ClaimType.COUNT, "cup", None, 3, U),
        (ClaimType.COUNT, "people", None, 1, C),  # there are two faces
        (ClaimType.COUNT, "face", None, 2, S),
        (ClaimType.COUNT, "faces", None, 1, C),
        (ClaimType.COUNT, "faces", None, 3, U),
        (ClaimType.COUNT, "galaxy", None, 3, None),
        (ClaimType.ATTRIBUTE, "car", "red", None, S),
        (ClaimType.ATTRIBUTE, "car", "crimson", None, S),
        (ClaimType.ATTRIBUTE, "car", "orange", None, U),
        (ClaimType.ATTRIBUTE, "car", "dark teal", None, C),
        (ClaimType.ATTRIBUTE, "car", "shiny", None, None),
        (ClaimType.SCENE, "beach", None, None, S),
        (ClaimType.SCENE, "palace", None, None, U),
        (ClaimType.SCENE, "birthday party", None, None, None),
        (ClaimType.RELATION, "dog", "right", None, S),
        (ClaimType.RELATION, "dog", "left", None, C),
        (ClaimType.RELATION, "dog", "on a sofa", None, None),
        (ClaimType.OTHER, "picture", "nsfw", None, U),
        (ClaimType.OTHER, None, None, None, None),
    ],
)
def test_rulings(
    type: ClaimType,
    subject: str | None,
    value: str | None,
    count: int | None,
    expected: Ruling | None,
) -> None:
    assert ruling(Claim("claimed", type, subject, count, value)) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A dog.", S),
        ("A man holds a cup while his dog waits.", S),
        ("A man holds a cup while his horse waits.", U),
        ("Two dogs play.", U),
        ("An animal sleeps.", S),
        ("Some fruit lies about.", U),
        ("A man in an orange hat.", S),
        ("They are friends.", None),
        ("The dog is to the right of the cup.", S),
        ("The dog is left of the cup.", C),
        ("The dog is behind the cup.", None),
        ("The dog is behind the horse.", U),
        ("A dog on a beach.", S),
        ("A dog on a couch.", U),
        ("One person and a dog.", C),  # there are two faces
        ("A cat sleep on a couch.", U),
    ],
)
def test_a_sentence_holds_as_far_as_all_that_it_speaks_of(
    text: str, expected: Ruling | None
) -> None:
    opinions = [judge(claim, SEEN) for claim in claims_from_text(text)]
    worst = weakest([opinion for opinion in opinions if opinion is not None])
    assert (worst and worst.ruling) is expected


def test_no_text_speaks_more_softly_than_other_text() -> None:
    claim = Claim("It says OPEN.", ClaimType.TEXT, value="OPEN")
    other, none = judge(claim, SEEN), judge(claim, NO_TEXT)
    assert other is not None
    assert none is not None
    assert other.ruling is none.ruling is Ruling.CONTRADICTED
    assert other.strength > none.strength


@pytest.mark.parametrize(
    ("subject", "noun"),
    [
        ("black cats", "cat"),
        ("hot dog", "hot dog"),
        ("women", "person"),
        ("dog house", None),
        ("faces", "face"),
        ("buses", "bus"),
        ("", None),
    ],
)
def test_detectable(subject: str, noun: str | None) -> None:
    assert detectable(subject) == noun


def test_every_color_name_is_a_basic_color() -> None:
    assert {basic_color(name) for name in names()} == set(NEAR)
    for color, others in NEAR.items():
        assert others <= set(NEAR) - {color}


def test_descriptions_and_judge_speak_of_the_same_claims() -> None:
    assert [(c.text, c.sentence) for c in found(SEEN).claims] == [
        ("There is a person.", 0),
        ("There is a dog.", 0),
        ("There is a cup.", 0),
        ("There is text that reads “HARBOUR MARKET”.", 1),
    ]


@pytest.mark.parametrize(
    ("value", "ruling"),
    [
        ("left", Ruling.SUPPORTED), ("on the left", Ruling.SUPPORTED),
        ("on the left side of the picture", Ruling.SUPPORTED),
        ("on the right", Ruling.CONTRADICTED),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["dog", "red circle"])
def test_a_side_in_the_words_of_a_sentence(name: str, value: str, ruling: Ruling) -> None:
    seen = Findings("", "", objects=(DetectedObject(name, 0.95, Box(0.1, 0.4, 0.3, 0.6)),))
    claim = Claim(f"The {name} is {value}.", ClaimType.RELATION, name, value=value)
    verdict = judge(claim, seen)
    assert verdict is not None
    assert verdict.ruling is ruling
