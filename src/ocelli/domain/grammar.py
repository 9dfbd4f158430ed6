"""English grammar of nouns: plural and singular, articles, counts, lists."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Plural endings of two letters: glasses, boxes, churches, waltzes, heroes; buses, but houses.
_ADDS_ES = ("sses", "xes", "ches", "shes", "tzes", "zzes", "oes")
_ADDS_ES_TO_US = re.compile(r"[^aeiou]uses$")
_SHADES = ("light", "dark", "pale", "bright", "deep")
_SHORT = 3  # letters: "has" and "gas" are no plurals, "tvs" is one

NUMBERS = (
    "no", "one", "two", "three", "four", "five", "six",
    "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip


def number(count: int) -> str:
    """Return the word for a number up to twelve, and digits above."""
    return NUMBERS[count] if count < len(NUMBERS) else str(count)


def counted(noun: str, count: int = 1) -> str:
    """Return the noun with its count: "a cup", "two people", "a pair of scissors".

    A noun that cannot be counted ("broccoli") is returned as it is.
    """
    rules = _rules()
    if noun in rules["bare"]:
        return noun
    if noun in rules["pairs"]:
        return f"a pair of {noun}" if count == 1 else f"{number(count)} pairs of {noun}"
    if count == 1:
        return f"{article(noun)} {noun}"
    return f"{number(count)} {plural(noun)}"


def some(noun: str, count: int = 1) -> str:
    """As ``counted``, but "several cups" for more than two."""
    if count <= 2 or noun in _rules()["bare"]:
        return counted(noun, count)
    return f"several pairs of {noun}" if noun in _rules()["pairs"] else f"several {plural(noun)}"


def article(noun: str) -> str:
    """Return "a" or "an", by the sound that the first letters suggest."""
    rules, start = _rules(), noun.casefold()
    if start.startswith(tuple(rules["an"])):
        return "an"
    if start.startswith(tuple(rules["a"])):
        return "a"
    return "an" if start[:1] in "aeiou" and start else "a"


def plural(noun: str) -> str:
    """Return the plural of a singular noun: "ears of corn" of "ear of corn"."""
    return _inflected(noun, _plural_word)


def singular(noun: str) -> str:
    """Return the singular of a plural noun; a word that no rule knows as a plural is unchanged."""
    return _inflected(noun, _singular_word)


def is_plural(word: str) -> bool:
    """Whether one word, without its context, is the plural of another one."""
    return singular(word) != word


def canonical(noun: str) -> str:
    """Return the noun that findings use for ``noun``: "person" for "women" and "guy"."""
    called: dict[str, str] = _rules()["called"]
    noun = noun.casefold()
    one = singular(noun)
    return called.get(noun) or called.get(one) or one


def members(noun: str) -> list[str]:
    """Return the nouns that a collective noun ("furniture") covers; empty for other nouns."""
    covered: str = _rules()["members"].get(noun, "")
    return [" ".join(part.split()) for part in covered.split(",") if part.strip()]


@cache
def colors() -> frozenset[str]:
    """Return the basic colour names."""
    return frozenset(_rules()["colors"]["basic"].split())


def color_in(words: str) -> str | None:
    """Return the first basic colour that ``words`` name; None if they name none."""
    called: dict[str, str] = _rules()["colors"]["called"]
    named = (called.get(word, word) for word in words.casefold().split())
    return next((name for name in named if name in colors()), None)


def is_color(words: str) -> bool:
    """Return whether words name a colour and nothing else.

    >>> is_color("dark brown"), is_color("brown bear")
    (True, False)
    """
    *shades, last = words.casefold().split() or [""]
    return color_in(last) is not None and all(each in _SHADES or color_in(each) for each in shades)


def listing(items: Sequence[str]) -> str:
    """Join items to "a", "a and b", "a, b and c"."""
    *firsts, last = items
    return f"{', '.join(firsts)} and {last}" if firsts else last


def sentence(words: str) -> str:
    """Return ``words`` with a capital letter and a full stop."""
    return f"{words[:1].upper()}{words[1:]}."


def _inflected(noun: str, inflect: Callable[[str], str]) -> str:
    """Inflect the head of ``noun``; nouns of pairs and uncountable nouns have one form only."""
    head, of, rest = noun.partition(" of ")
    words = head.split(" ")
    if any(" ".join(words[-length:]).casefold() in _fixed() for length in (1, 2)):
        return noun
    return " ".join([*words[:-1], inflect(words[-1])]) + of + rest


def _plural_word(word: str) -> str:
    if irregular := _looked_up(word, _plurals()):
        return irregular
    if word.casefold().endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


def _singular_word(word: str) -> str:
    known = word.casefold()
    if known in _rules()["singulars"] or not _is_plural(known):
        return word
    if irregular := _looked_up(word, _singulars()):
        return irregular
    if known.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if known.endswith(_ADDS_ES) or _ADDS_ES_TO_US.search(known):
        return word[:-2]
    return word[:-1]


def _is_plural(word: str) -> bool:
    """Whether a word is an irregular plural, or ends like a plural ("bus" and "glass" do not)."""
    if _looked_up(word, _singulars()):
        return True
    if len(word) <= _SHORT and any(letter in "aeiouy" for letter in word):
        return False
    return word.endswith("s") and not word.endswith(("ss", "us", "sis", "xis", "tis"))


def _looked_up(word: str, forms: tuple[dict[str, str], dict[str, str]]) -> str | None:
    """Look ``word`` up in a table of words, then in one of endings of compounds; None if absent."""
    alone, compounds = forms
    lower = word.casefold()
    if lower in alone:
        return _capitalised_like(word, alone[lower])
    for end, other in compounds.items():
        if lower.endswith(end):
            return _capitalised_like(word, lower.removesuffix(end) + other)
    return None


def _capitalised_like(word: str, form: str) -> str:
    """Return ``form`` with the capitalisation of ``word``'s first letter."""
    return word[:1] + form[1:] if word[:1].casefold() == form[:1] else form


@cache
def _fixed() -> frozenset[str]:
    rules = _rules()
    return frozenset([*rules["bare"], *rules["pairs"], *rules["unchanged"]])


@cache
def _plurals() -> tuple[dict[str, str], dict[str, str]]:
    return _rules()["plurals_alone"], _rules()["plurals"]


@cache
def _singulars() -> tuple[dict[str, str], dict[str, str]]:
    """The inverse of ``_plurals``, with the plurals of singulars that end like a plural."""
    alone, compounds = ({many: one for one, many in forms.items()} for forms in _plurals())
    return alone | {_plural_word(one): one for one in _rules()["singulars"]}, compounds


@cache
def _rules() -> dict[str, Any]:
    return tomllib.loads((files("ocelli.domain") / "nouns.toml").read_text(encoding="utf-8"))
