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
from ocelli.backends.local.evidence import DETAIL, SCENE_ALONE, SCENE_BESIDE_PEOPLE
from ocelli.backends.local.fusion import COUNTED
from ocelli.backends.local.lexicon import lexicon
from ocelli.backends.local.phrases import Phrase, Topic, is_page
from ocelli.backends.local.role_styles import written
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
    "something",
    "unrecognised",
    "mostly",
    "perhaps",
    "cannot",
    "name",
    "local",
    "models",
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
    if not subjects(result.said, Topic.MEDIUM):
        page = bool(subjects(result.said, Topic.TEXT)) and is_page(parts["texts"])
        assert ("page of text" in rest) == page


@given(parts)
def test_every_claim_comes_from_the_findings(parts: dict[str, Any]) -> None:
    counts: dict[str, int] = {}
    for thing in parts["objects"]:
        if thing.score >= COUNTED:
            counts[thing.name] = counts.get(thing.name, 0) + 1
    labels = {label.name: label.score for label in parts["scenes"]}
    text = " / ".join(" ".join(line.text.split()) for line in parts["texts"])
    people = bool(parts["faces"]) or "person" in counts

    for claim in compose(**parts).said:
        match claim.topic:
            case Topic.THING | Topic.SURFACE:
                if claim.subject == "person" and claim.subject not in counts:
                    assert claim.count == len(parts["faces"])
                elif claim.subject in counts:
                    assert claim.count == counts[claim.subject]
                else:
                    assert counts[lexicon().parents[claim.subject]] == claim.count == 1
                    assert labels[claim.subject] >= DETAIL
                assert claim.words == grammar.some(claim.subject, claim.count)
            case Topic.DETAIL:
                assert labels[claim.subject] >= DETAIL
                assert counts[lexicon().parents[claim.subject]] == 1
            case Topic.RIDING:
                assert claim.subject in counts
                assert claim.of == "person"
            case Topic.PLACE | Topic.MEDIUM:
                assert claim.subject in labels
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
                boxes = [o.box for o in parts["objects"] if o.score >= COUNTED]
                (box,) = boxes or [face.box for face in parts["faces"]]
                assert (box.center[0] < 0.5) == (claim.subject == "left")
            case Topic.SAFETY:
                assert parts["safety"].nsfw >= UNSAFE


def test_a_place_that_is_dropped_gives_way_to_none() -> None:
    scenes = (SceneLabel("snow", 0.9), SceneLabel("street", 0.8))
    made = found(Findings("ocelli-local", "1", scenes=scenes))
    assert "The scene is in the snow." in [claim.text for claim in made.claims]
    assert "street" not in recompose(made, made.claims)


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
        # Where nothing else is left to say, the colours are, which are measured.
        assert claim.text in kept or cut or claim.measured


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
    st.tuples(
        st.builds(
            Claim, st.just("A."), st.sampled_from([ClaimType.OBJECT, ClaimType.TEXT]), st.just("a")
        ),
        scores,
    ),
    min_size=1,
    max_size=6,
)


@given(claims, st.data(), st.integers(1, 3))
def test_more_support_of_a_claim_never_lowers_confidence(
    made: list[tuple[Claim, float]], data: st.DataObject, looks: int
) -> None:
    at = data.draw(st.integers(0, len(made) - 1))
    higher = made[at][0], data.draw(st.floats(made[at][1], 1.0))
    raised = [*made[:at], higher, *made[at + 1 :]]
    assert confidence(raised, looks=looks) >= confidence(made, looks=looks) - 1e-9


@given(scores, st.lists(scores, min_size=1, max_size=4))
def test_more_that_can_be_wrong_never_raises_confidence(one: float, others: list[float]) -> None:
    cup = Claim("There is a cup.", ClaimType.OBJECT, "cup")
    more = [(cup, belief) for belief in (one, *others)]
    assert confidence(more) <= confidence([(cup, one)]) + 1e-9


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
        if one.name in mentioned and one.score >= COUNTED
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
RIDER, MOUNT = Box(0.3, 0.1, 0.5, 0.6), Box(0.2, 0.4, 0.7, 0.9)


@pytest.mark.parametrize(
    ("parts", "description"),
    [
        ({}, "Something that the local models cannot name."),
        ({"objects": [thing("cat")]}, "A cat."),
        ({"objects": [thing("cat", 0.6)]}, "What looks like a cat."),
        ({"objects": [thing("cat", 0.54)]}, "Something that the local models cannot name."),
        ({"objects": [thing("person"), thing("person", 0.8)]}, "Two people."),
        ({"objects": [thing("knife", 0.6), thing("cup")]}, "A cup and perhaps a knife."),
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
            {"objects": [thing("cat")], "scenes": [SceneLabel("Egyptian Mau", 0.89)]},
            "A cat.",
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
        ({"objects": [thing("person")], "scenes": [SceneLabel("beach", 0.95)]},
         "A person. The setting is a beach."),
        ({"faces": [Face(0.9, WHOLE)]}, "A person."),
        ({"faces": [Face(0.9, WHOLE)], "objects": [thing("person")]},
         "A person."),
        ({"scenes": [SceneLabel("palace", 0.29)]}, "Something that the local models cannot name."),
        ({"scenes": [SceneLabel("building", 0.8), SceneLabel("palace", 0.57)]},
         "Probably a building, possibly a palace."),
        ({"scenes": [SceneLabel("dog", 0.8), SceneLabel("Beagle", 0.75)]}, "Probably a Beagle."),
        ({"texts": [TextLine("EXIT", 0.95, CUP)]}, "Text that reads “EXIT”."),
        ({"texts": [TextLine("EXIT", 0.85, CUP)], "objects": [thing("bus")]},
         "A bus. There is text that may read “EXIT”."),
        ({"texts": [TextLine("line", 0.95, CUP)] * 3},
         "A page of text that reads “line / line / line”."),
        ({"objects": [thing("person", 0.9, RIDER), thing("horse", 0.9, MOUNT)]},
         "A person riding a horse."),
        ({"objects": [thing("person", 0.9, RIDER), thing("horse", 0.9, MOUNT), thing("dog")],
          "scenes": [SceneLabel("grass", 0.9), SceneLabel("outdoors", 0.9)]},
         "A person riding a horse, with a dog, on grass."),
        ({"objects": [thing("person", 0.9, MOUNT), thing("horse", 0.9, RIDER)]},
         "A person and a horse."),
        ({"objects": [thing("person")] * 3}, "Several people."),
        ({"objects": [thing("red circle")] * 3}, "Three red circles."),
        ({"objects": [thing("banana")], "scenes": [SceneLabel("fruit", 0.95)]}, "A banana."),
        ({"objects": [thing("tennis racket")], "scenes": [SceneLabel("racket", 0.95)]},
         "A tennis racket."),
        ({"objects": [thing("boat")], "scenes": [SceneLabel("water", 0.9)]},
         "A boat on the water."),
        ({"scenes": [SceneLabel("outdoors", 0.9)]}, "An outdoor scene."),
        ({"scenes": [SceneLabel("receipt", 0.8)], "texts": [TextLine("TOTAL", 0.95, CUP)]},
         "A receipt that reads “TOTAL”."),
        ({"scenes": [SceneLabel("drawing", 0.8)], "objects": [thing("horse")]},
         "A drawing of a horse."),
        ({"scenes": [SceneLabel("QR code", 0.9)], "colors": [Color("#101010", "black", 0.95)]},
         "A QR code."),
        ({"safety": Safety(0.9), "objects": [thing("person")]},
         "A person. The picture may not be safe for work."),
        ({"colors": [Color("#8a5a3a", "brown", 0.5), Color("#d0c0a0", "beige", 0.3)]},
         "Something unrecognised, mostly brown and beige."),
        ({"colors": [Color("#8a5a3a", "brown", 0.5), Color("#b08a60", "light brown", 0.3)]},
         "Something unrecognised, mostly shades of brown."),
        ({"colors": [Color("#808080", "grey", 0.5), Color("#111111", "black", 0.3)],
          "objects": [thing("cat")]}, "A cat, in black and white."),
        ({"colors": [Color("#101010", "black", 0.95)]},
         "Something unrecognised, almost entirely black."),
    ],
)  # fmt: skip
def test_descriptions(parts: dict[str, Any], description: str) -> None:
    assert compose(**parts).description == description


def test_nothing_found_has_low_confidence() -> None:
    assert compose().confidence == EMPTY


def test_tags_hold_the_parent_and_colors_come_last() -> None:
    result = compose(
        objects=[thing("cat", 0.97)],
        scenes=[SceneLabel("cat", 0.95), SceneLabel("Egyptian Mau", 0.95)],
        colors=[Color("#8a5a3a", "brown", 0.9)],
    )
    assert [tag.name for tag in result.tags] == ["cat", "egyptian mau", "brown"]


def test_quotes_are_cut_between_words() -> None:
    lines = [TextLine("word " * 30, 0.9, CUP)]
    assert quote(lines) == "“" + ("word " * 16).strip() + "…”"
    assert len(quote([TextLine("x" * 200, 0.9, CUP)])) < 90
