"""What the description may say: nothing that the findings do not hold."""

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import examples
from tests.unit.local_findings import compose, findings, found, parts, scores

from ocelli.backends.local.compose import (
    EMPTY,
    LONGEST_TAG,
    MOST_TAGS,
    confidence,
    recompose,
)
from ocelli.backends.local.content import content_of, quote
from ocelli.backends.local.evidence import DETAIL, SCENE_ALONE, SCENE_BESIDE_PEOPLE, believe
from ocelli.backends.local.lexicon import lexicon
from ocelli.backends.local.models import OBJECT_SCORE
from ocelli.backends.local.phrases import Phrase, Topic, is_page
from ocelli.backends.local.roles import written
from ocelli.backends.local.statements import statements
from ocelli.domain import grammar
from ocelli.domain.claims import Claim, ClaimType
from ocelli.domain.findings import (
    UNSAFE,
    Box,
    Color,
    DetectedObject,
    Face,
    Findings,
    Safety,
    SceneLabel,
    TextLine,
)  # fmt: skip
from ocelli.domain.questions import Role

WHOLE = Box(0.0, 0.0, 1.0, 1.0)
GLUE = {
    "and",
    "with",
    "on",
    "what",
    "looks",
    "like",
    "probably",
    "possibly",
    "a",
    "page",
    "of",
    "text",
    "that",
    "reads",
    "may",
    "read",
    "is",
    "are",
    "visible",
    "the",
    "setting",
    "picture",
    "there",
    "nothing",
    "local",
    "models",
    "recognise",
}


def subjects(said: tuple[Phrase, ...], topic: Topic) -> list[str]:
    return [one.subject for one in said if one.topic is topic]


@given(parts)
def test_only_claims_and_grammar(parts: dict[str, Any]) -> None:
    result = compose(**parts)
    rest = result.description.casefold()
    for claim in sorted(
        result.said, key=lambda claim: (claim.topic is not Topic.TEXT, -len(claim.words))
    ):
        assert claim.words.casefold() in rest
        rest = rest.replace(claim.words.casefold(), " ", 1)
    assert set(re.findall(r"\w+", rest)) <= GLUE
    assert ("page of text" in rest) == (
        bool(subjects(result.said, Topic.TEXT)) and is_page(parts["texts"])
    )


@given(parts)
def test_every_claim_comes_from_the_findings(parts: dict[str, Any]) -> None:
    counts: dict[str, int] = {}
    for thing in parts["objects"]:
        if thing.score >= OBJECT_SCORE:
            counts[thing.name] = counts.get(thing.name, 0) + 1
    labels = {label.name: label.score for label in parts["scenes"]}
    text = " / ".join(" ".join(line.text.split()) for line in parts["texts"])
    people = bool(parts["faces"]) or "person" in counts

    for claim in compose(**parts).said:
        match claim.topic:
            case Topic.THING | Topic.SURFACE:
                if claim.subject in counts:
                    assert claim.count == counts[claim.subject]
                else:
                    assert counts[lexicon().parents[claim.subject]] == claim.count == 1
                    assert labels[claim.subject] >= DETAIL
                assert claim.words == grammar.counted(claim.subject, claim.count)
            case Topic.DETAIL:
                assert labels[claim.subject] >= DETAIL
                assert counts[lexicon().parents[claim.subject]] == 1
            case Topic.SCENE:
                needed = SCENE_BESIDE_PEOPLE if people else SCENE_ALONE
                assert labels[claim.subject] >= needed
                assert not (people and lexicon().is_a(claim.subject, "worn"))
            case Topic.FACES:
                assert claim.count == len(parts["faces"])
                assert claim.words.startswith(grammar.number(claim.count))
            case Topic.TEXT:
                assert text.startswith(claim.words[1:-1].removesuffix("…"))
            case Topic.COLORS:
                names = " ".join(color.name for color in parts["colors"])
                if claim.subject != "grey":
                    assert all(name in names for name in claim.subject.split(", "))
            case Topic.SIDE:
                (box,) = (o.box for o in parts["objects"] if o.score >= OBJECT_SCORE)
                assert (box.center[0] < 0.5) == (claim.subject == "left")
            case Topic.SAFETY:
                assert parts["safety"].nsfw >= UNSAFE


@given(findings, st.data())
def test_recomposed_says_nothing_new_and_nothing_dropped(
    seen: Findings, data: st.DataObject
) -> None:
    made = found(seen)
    dropped = data.draw(st.lists(st.sampled_from(made.claims))) if made.claims else []
    left = content_of(made).without(dropped)
    again = statements(written(left, Role.GENERAL).said)
    assert recompose(made, dropped) == " ".join(written(left, Role.GENERAL).sentences)
    if not dropped:
        assert recompose(made, dropped) == made.description
    kept = {claim.text for claim in made.claims}
    gone = {fact(claim) for claim in dropped}
    for claim in again:
        assert fact(claim) not in gone
        # Of a line that was cut more may be shown now.
        cut = claim.type is ClaimType.TEXT and any(
            (other.value or "").endswith("…") for other in made.claims
        )
        assert claim.text in kept or cut


def fact(claim: Claim) -> tuple[object, ...]:
    return claim.type, claim.subject, claim.value


@given(findings)
def test_claims_belong_to_sentences(seen: Findings) -> None:
    made = found(seen)
    sentences = written(content_of(made), Role.GENERAL).sentences
    for claim in made.claims:
        assert claim.sentence is not None
        assert claim.text.endswith(".")
        assert 0 <= claim.sentence < len(sentences)
        assert claim.belief is not None
        if claim.type is ClaimType.TEXT:
            assert (claim.value or "") in sentences[claim.sentence]
    assert len({claim.text for claim in made.claims}) == len(made.claims)


@given(parts)
def test_tags(parts: dict[str, Any]) -> None:
    tags = compose(**parts).tags
    names = [tag.name for tag in tags]
    assert len(names) == len(set(names)) <= MOST_TAGS
    assert all(name == name.lower() and 0 < len(name) <= LONGEST_TAG for name in names)
    assert all(0.0 <= tag.score <= 1.0 for tag in tags)
    colored = [tag.score for tag in tags if tag.name in {c.name for c in parts["colors"]}]
    others = [tag.score for tag in tags if tag.name not in {c.name for c in parts["colors"]}]
    assert colored == sorted(colored, reverse=True)
    assert others == sorted(others, reverse=True)


@given(parts)
def test_confidence_is_a_probability_and_words_are_a_function(parts: dict[str, Any]) -> None:
    result = compose(**parts)
    assert EMPTY <= result.confidence < 1.0
    assert result == compose(**parts)


claims = st.lists(
    st.builds(
        Phrase, st.just(Topic.THING), st.just("a"), st.just("a"), scores, st.just(1),
        st.sampled_from([0.0, 0.5, 1.0]),
    ),
    min_size=1,
    max_size=6,
)  # fmt: skip


@given(claims, st.data())
def test_more_support_of_a_claim_never_lowers_confidence(
    made: list[Phrase], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(made) - 1))
    higher = data.draw(st.floats(made[at].belief, 1.0))
    raised = [*made[:at], replace(made[at], belief=higher), *made[at + 1 :]]
    assert confidence(raised) >= confidence(made) - 1e-9


@given(scores, scores, scores)
def test_a_second_witness_never_lowers_belief(score: float, witness: float, other: float) -> None:
    less, more = sorted((witness, other))
    assert believe(score, more) >= believe(score, less)
    assert believe(more, score) >= believe(less, score)


@examples(50)
@given(parts, st.data())
def test_a_higher_score_of_a_mentioned_thing_never_lowers_confidence(
    parts: dict[str, Any], data: st.DataObject
) -> None:
    result = compose(**parts)
    mentioned = set(subjects(result.said, Topic.THING))
    candidates = [
        i
        for i, one in enumerate(parts["objects"])
        if one.name in mentioned and one.score >= OBJECT_SCORE
    ]
    if not candidates:
        return
    at = data.draw(st.sampled_from(candidates))
    mention = parts["objects"][at]
    better = replace(mention, score=data.draw(st.floats(mention.score, 1.0)))
    things = [*parts["objects"][:at], better, *parts["objects"][at + 1 :]]
    assert compose(**{**parts, "objects": things}).confidence >= result.confidence - 1e-9


def thing(name: str, score: float = 0.9, box: Box = WHOLE) -> DetectedObject:
    return DetectedObject(name, score, box)


CUP = Box(0.3, 0.3, 0.5, 0.6)


@pytest.mark.parametrize(
    ("parts", "description"),
    [
        ({}, "Nothing that the local models recognise."),
        ({"objects": [thing("cat")]}, "A cat."),
        ({"objects": [thing("cat", 0.6)]}, "What looks like a cat."),
        ({"objects": [thing("cat", 0.54)]}, "Nothing that the local models recognise."),
        ({"objects": [thing("person"), thing("person", 0.8)]}, "Two people."),
        ({"objects": [thing("knife", 0.6), thing("cup")]}, "A cup and what looks like a knife."),
        (
            {"objects": [thing("cup", 0.9, CUP), thing("bowl", 0.8, CUP), thing("dining table")]},
            "A cup and a bowl on a dining table.",
        ),
        ({"objects": [thing("cup", 0.9, WHOLE), thing("dining table", 0.8, CUP)]},
         "A cup and a dining table."),
        ({"objects": [thing("chair", 0.9, CUP), thing("dining table", 0.8)]},
         "A chair and a dining table."),
        (
            {
                "objects": [thing("person"), thing("cup", 0.9, CUP), thing("dining table")],
            },
            "A person, with a cup on a dining table.",
        ),
        ({"objects": [thing("dog", 0.9, Box(0.0, 0.5, 0.2, 0.8))]}, "A dog on the left."),
        (
            {"objects": [thing("cat")], "scenes": [SceneLabel("Egyptian Mau", 0.41)]},
            "A cat, possibly an Egyptian Mau.",
        ),
        (
            {"objects": [thing("cat")], "scenes": [SceneLabel("Siamese cat", 0.93)]},
            "A Siamese cat.",
        ),
        ({"objects": [thing("horse")], "scenes": [SceneLabel("dog", 0.95)]}, "A horse."),
        ({"objects": [thing("person")], "scenes": [SceneLabel("tripod", 0.95)]},
         "A person with a tripod."),
        ({"objects": [thing("person")], "scenes": [SceneLabel("football helmet", 0.95)]},
         "A person."),
        ({"objects": [thing("person")], "scenes": [SceneLabel("beach", 0.85)]},
         "A person. The setting is probably a beach."),
        ({"faces": [Face(0.9, WHOLE)]}, "One face."),
        ({"faces": [Face(0.9, WHOLE)], "objects": [thing("person")]},
         "A person. One face is visible."),
        ({"scenes": [SceneLabel("palace", 0.54)]}, "Nothing that the local models recognise."),
        ({"scenes": [SceneLabel("building", 0.8), SceneLabel("palace", 0.57)]},
         "Probably a building, possibly a palace."),
        ({"scenes": [SceneLabel("dog", 0.8), SceneLabel("Beagle", 0.75)]}, "Probably a Beagle."),
        ({"texts": [TextLine("EXIT", 0.95, CUP)]}, "Text that reads “EXIT”."),
        ({"texts": [TextLine("EXIT", 0.85, CUP)], "objects": [thing("bus")]},
         "A bus. There is text that may read “EXIT”."),
        ({"texts": [TextLine("line", 0.95, CUP)] * 3},
         "A page of text that reads “line / line / line”."),
        ({"safety": Safety(0.9), "objects": [thing("person")]},
         "A person. The picture may not be safe for work."),
        ({"colors": [Color("#8a5a3a", "brown", 0.5), Color("#d0c0a0", "beige", 0.3)]},
         "Nothing that the local models recognise; brown and beige dominate."),
        ({"colors": [Color("#8a5a3a", "brown", 0.5), Color("#b08a60", "light brown", 0.3)]},
         "Nothing that the local models recognise; shades of brown dominate."),
        ({"colors": [Color("#808080", "grey", 0.5), Color("#111111", "black", 0.3)],
          "objects": [thing("cat")]}, "A cat, in shades of grey."),
        ({"colors": [Color("#101010", "black", 0.95)]},
         "Nothing that the local models recognise; almost entirely black."),
    ],
)  # fmt: skip
def test_descriptions(parts: dict[str, Any], description: str) -> None:
    assert compose(**parts).description == description


def test_agreement_raises_confidence() -> None:
    alone = compose(objects=[thing("cat", 0.8)])
    agreed = compose(objects=[thing("cat", 0.8)], scenes=[SceneLabel("cat", 0.8)])
    assert agreed.confidence > alone.confidence


def test_nothing_found_has_low_confidence() -> None:
    assert compose().confidence == EMPTY


def test_tags_hold_the_parent_and_colors_come_last() -> None:
    result = compose(
        objects=[thing("cat")],
        scenes=[SceneLabel("cat", 0.8), SceneLabel("Egyptian Mau", 0.41)],
        colors=[Color("#8a5a3a", "brown", 0.9)],
    )
    assert [tag.name for tag in result.tags] == ["cat", "egyptian mau", "brown"]


def test_quotes_are_cut_between_words() -> None:
    lines = [TextLine("word " * 30, 0.9, CUP)]
    assert quote(lines) == "“" + ("word " * 16).strip() + "…”"
    assert len(quote([TextLine("x" * 200, 0.9, CUP)])) < 90
