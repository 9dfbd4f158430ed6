"""What the words of a claim mean to our models: nouns they know, colours they can tell. Pure."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from ocelli.backends.local.content import FACE
from ocelli.backends.local.lexicon import lexicon
from ocelli.backends.local.shapes import plain_name
from ocelli.domain import grammar

if TYPE_CHECKING:
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
SHADES = ("light", "dark", "pale", "bright", "deep", "vivid")


@cache
def detectable(subject: str) -> str | None:
    """The noun of the detector, or "face", for what a claim is about: "black cats" is "cat".

    None if the detector cannot see such a thing.
    """
    known = {*lexicon().objects.values(), FACE}
    words = subject.casefold().split()
    for first in range(len(words)):
        noun = " ".join(words[first:])
        if noun in known:
            return noun
        if (called := grammar.canonical(noun)) in known:
            return called
    return None


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
