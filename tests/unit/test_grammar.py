import pytest

from ocelli.backends.local.lexicon import lexicon
from ocelli.domain import grammar


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
