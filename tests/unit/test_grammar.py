import pytest

from ocelli.backends.local.augmentations import WHOLE
from ocelli.backends.local.conversation.facts import PictureFacts
from ocelli.backends.local.conversation.structured_output import fill
from ocelli.backends.local.lexicon import lexicon
from ocelli.domain import grammar
from ocelli.domain.claims import ClaimType
from ocelli.domain.findings import LOCAL, DetectedObject, Findings
from ocelli.domain.grammar import members
from ocelli.domain.sentences import claims_from_text

NUMBER, TRUTH = {"type": "integer"}, {"type": "boolean"}


@pytest.mark.parametrize(
    ("noun", "count", "words"),
    [
        ("cup", 1, "a cup"),
        ("cup", 2, "two cups"),
        ("person", 3, "three people"),
        ("baseball player", 2, "two baseball players"),
        ("sheep", 2, "two sheep"),
        ("knife", 2, "two knives"),
        ("computer mouse", 2, "two computer mice"),
        ("computer mouse", 1, "a computer mouse"),
        ("apple", 1, "an apple"),
        ("hourglass", 1, "an hourglass"),
        ("umbrella", 1, "an umbrella"),
        ("unicycle", 1, "a unicycle"),
        ("European garden spider", 1, "a European garden spider"),
        ("Egyptian Mau", 1, "an Egyptian Mau"),
        ("iPod", 1, "an iPod"),
        ("bus", 2, "two buses"),
        ("sandwich", 2, "two sandwiches"),
        ("toothbrush", 2, "two toothbrushes"),
        ("butterfly", 2, "two butterflies"),
        ("toy", 2, "two toys"),
        ("teddy bear", 13, "13 teddy bears"),
        ("ear of corn", 2, "two ears of corn"),
        ("scissors", 1, "a pair of scissors"),
        ("scissors", 2, "two pairs of scissors"),
        ("broccoli", 2, "broccoli"),
        ("goose", 12, "twelve geese"),
    ],
)
def test_counted(noun: str, count: int, words: str) -> None:
    assert grammar.counted(noun, count) == words


@pytest.mark.parametrize(
    ("many", "one"),
    [
        ("glasses", "glass"),
        ("buses", "bus"),
        ("minibuses", "minibus"),
        ("houses", "house"),
        ("knives", "knife"),
        ("gloves", "glove"),
        ("potatoes", "potato"),
        ("toes", "toe"),
        ("snowshoes", "snowshoe"),
        ("collies", "collie"),
        ("butterflies", "butterfly"),
        ("mazes", "maze"),
        ("waltzes", "waltz"),
        ("lenses", "lens"),
        ("taxis", "taxi"),
        ("mantises", "mantis"),
        ("menus", "menu"),
        ("bookshelves", "bookshelf"),
        ("firemen", "fireman"),
        ("humans", "human"),
        ("mongooses", "mongoose"),
        ("geese", "goose"),
        ("goldfish", "goldfish"),
        ("sunglasses", "sunglasses"),
        ("swim trunks", "swim trunks"),
        ("specimen", "specimen"),
        ("has", "has"),
        ("TVs", "TV"),
        ("Border Collies", "Border Collie"),
        ("ears of corn", "ear of corn"),
    ],
)
def test_singular(many: str, one: str) -> None:
    assert grammar.singular(many) == one == grammar.singular(one)


def nouns() -> set[str]:
    words = lexicon()
    known = {*words.objects.values(), *words.scenes, *words.parents.values()}
    return known | {member for word in ("animal", "shape", "food") for member in members(word)}


def test_every_noun_of_the_models_has_one_singular_and_one_plural() -> None:
    for noun in nouns() | {noun.lower() for noun in nouns()}:
        many = grammar.plural(noun)
        assert grammar.singular(many) == noun == grammar.singular(noun), noun
        assert grammar.plural(grammar.singular(many)) == many, noun


def test_every_noun_is_the_same_in_a_sentence_and_in_a_schema() -> None:
    for noun in nouns():
        many, one = grammar.plural(noun).lower(), noun.lower()
        if " of " not in noun:  # a sentence's "ears of corn" are ears
            (claim,) = claims_from_text(f"Two {many}.")
            assert (claim.type, claim.subject, claim.count) == (ClaimType.COUNT, one, 2)
        if one in lexicon().objects.values():
            found = Findings(LOCAL, "1", objects=(DetectedObject(one, 0.9, WHOLE),) * 2)
            asked = many.replace(" ", "_")
            schema = {"properties": {f"number_of_{asked}": NUMBER, f"has_{asked}": TRUTH}}
            assert list(fill(schema, "", [PictureFacts(found, "")]).values()) == [2, True], noun


@pytest.mark.parametrize(
    ("items", "words"), [(["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_listing(items: list[str], words: str) -> None:
    assert grammar.listing(items) == words


def test_every_noun_of_the_models_is_one_that_can_be_said() -> None:
    words = lexicon()
    for noun in {*words.objects.values(), *words.scenes, *words.parents.values()}:
        assert noun.strip() == noun != ""
        assert not set(noun) & set("(),/"), noun
        assert len(noun) <= 50


def test_lexicon() -> None:
    words = lexicon()
    assert len(words.scenes) == 1000
    assert len(words.objects) == 80
    assert words.parent("Siamese cat") == "cat"
    assert words.parent("Siberian Husky") == "dog"
    assert words.parent("tripod") is None
    assert words.same("moped", "motorcycle")
    assert words.is_a("football helmet", "worn")
    assert words.is_a("helmet", "worn")
    assert words.is_a("dog", "animal")
    assert words.is_a("palace", "place")
    assert not words.is_a("no such noun", "animal")
    assert words.stands_on_furniture("cup")
    assert not words.stands_on_furniture("chair")
