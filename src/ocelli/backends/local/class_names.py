"""What the words of a claim mean to our models: nouns they know, colours they can tell. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from ocelli.backends.local.content import FACE
from ocelli.backends.local.lexicon import lexicon
from ocelli.backends.local.shapes import plain_name
from ocelli.domain import grammar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.domain.findings import Color

# Basic colours that one picture's viewers may tell apart differently.
NEAR = {
    "black": {"grey", "brown", "blue", "purple", "green", "olive", "teal"},
    "white": {"grey", "beige", "pink", "yellow", "blue", "green"},
    "grey": {"black", "white", "beige", "blue", "brown", "green", "olive", "teal", "purple"},
    "beige": {"white", "grey", "brown", "yellow", "pink", "orange"},
    "brown": {"beige", "orange", "red", "black", "olive", "grey", "yellow"},
    "red": {"pink", "orange", "brown", "purple"},
    "pink": {"red", "purple", "beige", "white", "orange"},
    "orange": {"yellow", "red", "brown", "beige", "pink"},
    "yellow": {"orange", "beige", "olive", "green", "brown", "white"},
    "olive": {"green", "yellow", "brown", "grey", "black"},
    "green": {"olive", "teal", "yellow", "grey", "black", "white"},
    "teal": {"green", "blue", "grey", "black"},
    "blue": {"teal", "purple", "grey", "black", "white"},
    "purple": {"pink", "blue", "red", "black", "grey"},
}
FLAT_NEAR = {
    "black": {"grey"},
    "white": {"grey", "beige"},
    "grey": {"black", "white"},
    "beige": {"white", "yellow", "orange", "brown", "pink"},
    "brown": {"orange", "red", "olive", "beige"},
    "red": {"orange", "pink", "brown"},
    "pink": {"purple", "red", "beige"},
    "orange": {"red", "yellow", "brown", "beige"},
    "yellow": {"orange", "olive", "green", "beige"},
    "olive": {"yellow", "green", "brown"},
    "green": {"yellow", "teal", "olive"},
    "teal": {"green", "blue"},
    "blue": {"teal", "purple"},
    "purple": {"blue", "pink"},
}
ACHROMATIC = {"black", "white", "grey"}
# Words that are no colours of CSS.
CALLED = {
    "gray": "grey",
    "golden": "yellow",
    "blonde": "yellow",
    "scarlet": "red",
    "burgundy": "red",
    "cream": "beige",
    "silvery": "grey",
    "violet": "purple",
    "cyan": "teal",
}
# Words of a noun that are looked up together, and words that can follow one.
LENGTHS = (3, 2, 1)
AFTER_NOUN = frozenset(
    "a an and are at behind beside by for from has have in into is near of off on onto or "  # noqa: SIM905
    "over that the to under wearing which while who with".split()
)
SHADES = ("light", "dark", "pale", "bright", "deep", "vivid")


@cache
def detectable(subject: str) -> str | None:
    """The noun of the detector, or "face", for what a claim is about: "black cats" is "cat".

    None if the detector cannot see such a thing.
    """
    known = _detected()
    words = subject.casefold().split()
    for first in range(len(words)):
        noun = " ".join(words[first:])
        if noun in known:
            return noun
        if (called := grammar.canonical(noun)) in known:
            return called
    return None


@dataclass(frozen=True, slots=True)
class Mention:
    """A noun that our models know, where a sentence says it; ``count`` if it says how many."""

    noun: str
    count: int | None = None


@cache
def mentioned(text: str) -> tuple[Mention, ...]:
    """The things that ``text`` speaks of and that our models know, each once."""
    words = re.findall(r"[a-z]+|\d+", text.casefold())
    found: dict[str, Mention] = {}
    at = 0
    while at < len(words):
        length = next((n for n in LENGTHS if _is_thing(words[at : at + n], words[at + n :])), 0)
        if length:
            noun = grammar.canonical(" ".join(words[at : at + length]))
            found.setdefault(noun, Mention(noun, _count_before(words[:at])))
        at += length or 1
    return tuple(found.values())


def _is_thing(words: Sequence[str], after: Sequence[str]) -> bool:
    """Whether they name one; "an orange hat" is no orange."""
    noun = grammar.canonical(" ".join(words))
    if noun in grammar.colors() and after and after[0] not in AFTER_NOUN:
        return False
    return noun in _detected() or bool(grammar.members(noun)) or is_label(noun)


def _count_before(words: Sequence[str]) -> int | None:
    """ "two big": the number, at most two words before the noun."""
    for word in reversed(words[-3:]):
        if word.isdigit():
            return int(word)
        if word in grammar.NUMBERS:
            return grammar.NUMBERS.index(word)
        if word in AFTER_NOUN:
            return None
    return None


@cache
def _detected() -> frozenset[str]:
    return frozenset([*lexicon().objects.values(), FACE])


@cache
def is_label(subject: str) -> bool:
    """Whether the classifier could name it."""
    return subject.casefold() in _labels()


@cache
def basic_color(word: str) -> str | None:
    """One of ``NEAR``'s keys for a colour's name; None if it is none that we know."""
    from ocelli.media.colors import css_colors, lab_of, nearest_name

    words = [part for part in word.casefold().replace("-", " ").split() if part not in SHADES]
    name = " ".join(words)
    name = CALLED.get(name, name)
    if name in NEAR:
        return name
    code = css_colors().get("".join(words))
    if code is None:
        return words[-1] if words and words[-1] in NEAR else None
    return nearest_name(lab_of([code.r, code.g, code.b])).rpartition(" ")[2]


def plain(code: str) -> str:
    """The basic word for ``#rrggbb`` on a screen."""
    return plain_name(*bytes.fromhex(code.removeprefix("#")))


def called(color: Color) -> set[str]:
    """Basic words for a colour of a palette: as it was named, and as on a screen."""
    return {name for name in (basic_color(color.name), plain(color.hex)) if name}


def confusable(color: str) -> set[str]:
    """As ``neighbours``, for flat colours: those whose hues, or shades, touch."""
    return FLAT_NEAR[color]


def neighbours(color: str) -> set[str]:
    """Basic colours that other people may call so."""
    return NEAR[color]


@cache
def _labels() -> frozenset[str]:
    words = lexicon()
    return frozenset(name.casefold() for name in (*words.scenes, *words.parents.values()))
