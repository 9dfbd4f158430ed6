"""Just enough English to put a noun into a sentence, and to find it again in one."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

NUMBERS = (
    "no", "one", "two", "three", "four", "five", "six",
    "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip


def number(count: int) -> str:
    """ "two"; digits above twelve."""
    return NUMBERS[count] if count < len(NUMBERS) else str(count)


def counted(noun: str, count: int = 1) -> str:
    """ "a cup", "two people", "a pair of scissors", and "broccoli" however much of it there is."""
    rules = _rules()
    if noun in rules["bare"]:
        return noun
    if noun in rules["pairs"]:
        return f"a pair of {noun}" if count == 1 else f"{number(count)} pairs of {noun}"
    if count == 1:
        return f"{article(noun)} {noun}"
    return f"{number(count)} {plural(noun)}"


def article(noun: str) -> str:
    """ "a" or "an", by sound as far as the first letters tell."""
    rules, start = _rules(), noun.casefold()
    if start.startswith(tuple(rules["an"])):
        return "an"
    if start.startswith(tuple(rules["a"])):
        return "a"
    return "an" if start[:1] in "aeiou" and start else "a"


def plural(noun: str) -> str:
    """The plural of a singular noun: of its head, if it is "an ear of corn"."""
    head, of, rest = noun.partition(" of ")
    *before, last = head.split(" ")
    return " ".join([*before, _plural_word(last)]) + of + rest


def singular(noun: str) -> str:
    """The singular of a plural noun; a singular comes back as it is, if a rule can tell."""
    head, of, rest = noun.partition(" of ")
    *before, last = head.split(" ")
    return " ".join([*before, _singular_word(last)]) + of + rest


def canonical(noun: str) -> str:
    """The noun that findings use for what people call ``noun``: "women" and "guy" are "person"."""
    called: dict[str, str] = _rules()["called"]
    noun = noun.casefold()
    one = singular(noun)
    return called.get(noun) or called.get(one) or one


def members(noun: str) -> list[str]:
    """The nouns that a word for many kinds of things covers; none if it is no such word."""
    covered: str = _rules()["members"].get(noun, "")
    return [" ".join(part.split()) for part in covered.split(",") if part.strip()]


@cache
def colors() -> frozenset[str]:
    """The basic words for colours."""
    return frozenset(_rules()["colors"]["basic"].split())


def color_in(words: str) -> str | None:
    """The first basic colour that ``words`` name, if they name one."""
    called: dict[str, str] = _rules()["colors"]["called"]
    named = (called.get(word, word) for word in words.casefold().split())
    return next((name for name in named if name in colors()), None)


def listing(items: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    *firsts, last = items
    return f"{', '.join(firsts)} and {last}" if firsts else last


def sentence(words: str) -> str:
    """With a capital letter and a full stop."""
    return f"{words[:1].upper()}{words[1:]}."


def _plural_word(word: str) -> str:
    irregular: dict[str, str] = _rules()["plurals"]
    if word in irregular:
        return irregular[word]
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


def _singular_word(word: str) -> str:
    rules = _rules()
    if word in rules["pairs"] or word in rules["bare"] or word in rules["singulars"]:
        return word
    if word in _singulars():
        return _singulars()[word]
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "zes", "ches", "shes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


@cache
def _singulars() -> dict[str, str]:
    return {many: one for one, many in _rules()["plurals"].items()}


@cache
def _rules() -> dict[str, Any]:
    return tomllib.loads((files("ocelli.domain") / "nouns.toml").read_text(encoding="utf-8"))
