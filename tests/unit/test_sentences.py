"""Claims out of plain sentences."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.upstream import scenes

from ocelli.domain import grammar
from ocelli.domain.claims import Claim, ClaimType
from ocelli.domain.sentences import claims_from_text, sentences

NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NOUNS = ("circle", "box", "church", "cherry", "knife", "person", "building", "bus", "dish", "horse")
PLURALS = (
    "circles", "boxes", "churches", "cherries", "knives", "people", "buildings", "buses", "dishes",
    "horses",
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("There are three red circles.", [("count", "red circle", 3, None)]),
        ("There is a dog.", [("object", "dog", None, None)]),
        ("There is one dog in the garden.", [("count", "dog", 1, None)]),
        ("There are no people.", [("count", "person", 0, None)]),
        ("There are 12 people standing in line.", [("count", "person", 12, None)]),
        (
            "There are two cups, a plate and 3 forks on a table.",
            [
                ("count", "cup", 2, None),
                ("object", "plate", None, None),
                ("count", "fork", 3, None),
            ],
        ),
        ("The photo shows a building on a hill.", [("object", "building", None, None)]),
        ("The car is dark blue.", [("attribute", "car", None, "dark blue")]),
        ('A sign reads "No entry. Stop."', [("text", None, None, "No entry. Stop.")]),
        ("„Halt“ steht da.", [("text", None, None, "Halt")]),
        ("The cup is left of the plate.", [("relation", "cup", None, "left of the plate")]),
        ("It was taken outdoors.", [("scene", None, None, None)]),
        ("There are several people.", [("object", "person", None, None)]),
        ("", []),
    ],
)
def test_rules(text: str, expected: list[tuple[object, ...]]) -> None:
    found = [(c.type.value, c.subject, c.count, c.value) for c in claims_from_text(text)]
    assert found == expected


@pytest.mark.parametrize(
    "phrase",
    [
        "a cat",
        "an old motorcycle",
        "two dogs on a beach",
        "three buses, a car and 12 people",
        "several people and a dog in a park",
        "two sheep",
        "no people",
        "a group of people standing on a street",
    ],
)
def test_a_noun_phrase_is_the_claim_of_its_sentence(phrase: str) -> None:
    def facts(text: str) -> list[tuple[object, ...]]:
        return [(c.type, c.subject, c.count, c.value) for c in claims_from_text(text)]

    whole = facts(f"There is {phrase}.")
    assert facts(phrase) == facts(f"{phrase.capitalize()}.") == whole
    assert not any(type is ClaimType.OTHER for type, *_ in whole)


@pytest.mark.parametrize("sentence", ["A cat sleeps.", "Two dogs play.", "A man jumped.", "Dogs."])
def test_a_sentence_is_no_noun_phrase(sentence: str) -> None:
    assert [claim.type for claim in claims_from_text(sentence)] == [ClaimType.OTHER]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("One. Two! Three? Four", ("One.", "Two!", "Three?", "Four")),
        ("Mr. X is 2.5 m tall. He waves.", ("Mr. X is 2.5 m tall.", "He waves.")),
        ('It says "Stop." He goes.', ('It says "Stop."', "He goes.")),
        ("这是猫。那是狗。", ("这是猫。", "那是狗。")),
        ("A line\nanother", ("A line", "another")),
        ("Wait... what? No.", ("Wait... what?", "No.")),
    ],
)
def test_sentences(text: str, parts: tuple[str, ...]) -> None:
    assert sentences(text) == parts


@given(st.text(alphabet=st.sampled_from('aB1 .!?"“”\n。,(')) | st.text(max_size=60))
def test_no_text_is_lost_and_every_sentence_is_claimed(text: str) -> None:
    parts = sentences(text)
    assert re.sub(r"\s", "", "".join(parts)) == re.sub(r"\s", "", text)
    claims = claims_from_text(text)
    assert {claim.sentence for claim in claims} == set(range(len(parts)))
    assert [claim.sentence for claim in claims] == sorted(c.sentence or 0 for c in claims)


@given(
    st.sampled_from(range(10)), st.sampled_from(range(10)), st.sampled_from(["", "red ", "big "])
)
def test_every_count_is_recovered(number: int, noun: int, adjective: str) -> None:
    count = number + 1
    words = NOUNS[noun] if count == 1 else PLURALS[noun]
    text = f"There {'is' if count == 1 else 'are'} {NUMBERS[number]} {adjective}{words}."
    assert claims_from_text(text) == (
        Claim(text, ClaimType.COUNT, adjective + NOUNS[noun], count, sentence=0),
    )
    assert grammar.singular(PLURALS[noun]) == NOUNS[noun]


def test_claims_of_scenes_are_recovered() -> None:
    """Plain sentences give claims that are as true as what they state."""
    for number in range(50):
        it = scenes.scene(number)
        text = " ".join(scenes.sentence(said) for said in scenes.true_claims(it))
        found = claims_from_text(text)
        assert all(scenes.holds(it, claim.text) for claim in found)
        assert sum(claim.type is ClaimType.TEXT for claim in found) == len(it.words)
        assert not any(claim.type is ClaimType.OTHER for claim in found)
