"""Choosing tags for words: names, synonyms, meaning, and nothing else."""

from __future__ import annotations

import pytest

from ocelli.domain.choosing import SIMILAR, Match, Mode, NotChosen, TermIndex, choose, for_meaning
from ocelli.domain.vocabulary_files import read

INDEX = TermIndex(
    read(
        "animal/dog = hound; Hund@de; 犬@ja\nanimal/cat\nfood/hot dog\nplace/glasses\nבית\n狐\n🦊\n"
        "vehicle/crane\nanimal/crane\ncafé"
    )
)


def tags(*words: str, nearest: dict[str, tuple[str, float]] | None = None) -> list[str]:
    return [each.tag for each in choose(words, INDEX, nearest or {}).tags]


@pytest.mark.parametrize(
    ("phrase", "wanted"),
    [
        ("dog", ["animal/dog"]),
        ("Two DOGS and a cat", ["animal/dog", "animal/cat"]),
        ("hounds", ["animal/dog"]),
        ("ein Hund", ["animal/dog"]),
        ("a hot dog", ["food/hot dog"]),
        ("three hot dogs", ["food/hot dog"]),
        ("the dog's bowl", ["animal/dog"]),
        ("glasses", ["place/glasses"]),
        ("dogma", []),
        ("赤い狐と犬", ["狐", "animal/dog"]),
        ("בית לבן", ["בית"]),
        ("🦊!", ["🦊"]),
        ("CAFE", ["café"]),
        ("crane", ["vehicle/crane", "animal/crane"]),
        ("", []),
        ("\0", []),
    ],
)
def test_named(phrase: str, wanted: list[str]) -> None:
    assert tags(phrase) == wanted


def test_every_tag_has_its_evidence() -> None:
    nearest = {"puppy": ("dog", SIMILAR), "stone": ("cat", SIMILAR - 0.001)}
    choice = choose(["hound", "puppy", "stone", "cats"], INDEX, nearest)
    assert [(t.tag, t.match, t.word, t.name, t.score) for t in choice.tags] == [
        ("animal/dog", Match.SYNONYM, "hound", "hound", 1.0),
        ("animal/cat", Match.NAME, "cats", "cats", 1.0),
    ]
    assert choice.not_chosen == [NotChosen("stone", "cat", SIMILAR - 0.001)]
    (near,) = choose(["puppy"], INDEX, nearest).tags
    assert (near.match, near.word, near.name, near.score) == (
        *(Match.SIMILAR, "puppy", "dog"),
        round(SIMILAR, 4),
    )


def test_modes() -> None:
    words = ["dog", "stone", " "]
    assert [(t.tag, t.match) for t in choose(words, INDEX, {}, Mode.PREFER).tags] == [
        ("animal/dog", Match.NAME),
        ("stone", Match.NEW),
    ]
    off = choose(words, INDEX, {}, Mode.OFF)
    assert ([t.tag for t in off.tags], {t.match for t in off.tags}) == (
        ["dog", "stone"],
        {Match.NEW},
    )


def test_groups_are_not_chosen() -> None:
    index = TermIndex(read("[animal]\n\tdog"))
    assert not choose(["animal"], index, {}).tags
    assert list(index.texts) == ["dog"]


def test_only_what_the_embedder_reads_is_compared() -> None:
    assert list(INDEX.texts)[:3] == ["animal", "dog", "hound"]
    assert not {"Hund", "犬", "狐", "🦊"} & INDEX.texts.keys()
    assert for_meaning("a small puppy")
    assert not for_meaning("a puppy on the grass")
    assert not for_meaning("狐")


def test_a_path_is_its_term_and_no_other() -> None:
    index = TermIndex(read("animal/dog\ndog\nblack\u2215white\n"))
    assert [t.tag for t in index.named_in("Animal/DOG")] == ["animal/dog"]
    assert [t.tag for t in choose(["dog"], index, {}).tags] == ["animal/dog", "dog"]
    assert [t.tag for t in choose(["DOG"], index, {}, offered=True).tags] == ["dog"]
    assert [t.tag for t in choose(["black/white"], index, {}).tags] == ["black\u2215white"]


@pytest.mark.parametrize(
    "sentence", ["There is no dog.", "A cat without a dog.", "It isn’t a dog.", "Not a dog."]
)
def test_what_a_sentence_denies_is_not_chosen(sentence: str) -> None:
    assert not choose([], INDEX, {}, sentences=[sentence]).tags
    assert choose([], INDEX, {}, sentences=["A dog knows a cat."]).tags
