"""Full-text search: how texts are folded to words, and the syntax of a search.

Texts and searches are folded by the same function, so that they match. Case, accents, vowel points
and width do not matter, Latin letters that do not decompose into a letter and an accent
(ł, ø, æ) count as their transliteration, digits of all scripts are the same, punctuation
separates. Each emoji is a word, whatever its skin tone. Scripts that are written without spaces,
and Korean, whose particles stand at their words, are cut into characters: a search for several of
them is one for a phrase. The rules follow Unicode's data.

A change of the results of ``words`` needs a migration with ``UPDATE library SET stale = true``.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import regex
from anyascii import anyascii

LONGEST_WORD = 64
SHORTEST_PREFIX = 3
_ASCII_WORD = re.compile("[a-z0-9]+")
_WORD = regex.compile(
    r"""(?V1)
    (?P<emoji> [\p{Extended_Pictographic}\p{Regional_Indicator}] )
    | (?P<unspaced> [[\p{L}\p{N}]&&[\p{lb=SA}\p{scx=Tibt}\p{scx=Hani}\p{scx=Hira}\p{scx=Kana}
                                     \p{scx=Bopo}\p{scx=Hang}]] \p{M}* )
    | [[\p{L}\p{N}\p{M}]--[\p{lb=SA}\p{scx=Tibt}\p{scx=Hani}\p{scx=Hira}\p{scx=Kana}\p{scx=Bopo}
                          \p{scx=Hang}]]+
    """,
    regex.VERBOSE,
)
_VARIATION = regex.compile(r"\p{Variation_Selector}")
_TERM = re.compile(r'(?P<minus>-?)(?:"(?P<phrase>[^"]*)"?|(?P<word>[^\s"]+))')


class SearchMode(StrEnum):
    """The texts that are searched; the metadata are title, file name, tags and description."""

    ALL = "all"
    METADATA = "metadata"
    VISIBLE_TEXT = "visible_text"

    @property
    def weights(self) -> str:
        """The texts as weights of a Postgres text search: A title, B tags, C description, D text.

        None for all of them: an index answers that by itself, for weights rows must be read.
        """
        return {"all": "", "metadata": "ABC", "visible_text": "D"}[self.value]


def words(text: str) -> list[str]:
    """Return the folded words of a text, in order.

    >>> words("Café-Bar №1, 東京")
    ['cafe', 'bar', 'no1', '東', '京']
    """
    if text.isascii():
        return [word[:LONGEST_WORD] for word in _ASCII_WORD.findall(text.lower())]
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    letters = unicodedata.normalize("NFKC", "".join(map(_folded, decomposed))).casefold()
    return [_token(found)[:LONGEST_WORD] for found in _WORD.finditer(letters)]


@lru_cache(maxsize=4096)
def _folded(character: str) -> str:
    """Return the folded form of a character of decomposed text; it may be empty."""
    category = unicodedata.category(character)
    if category == "Cf":  # invisible; joiners among them, and one space
        return " " if character == "\u200b" else ""
    if category in ("Mn", "Me"):
        return "" if _is_accent(character) else character
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    if character == "\u0640":  # stretches Arabic words
        return ""
    if not character.isascii() and unicodedata.name(character, "").startswith("LATIN "):
        return anyascii(character).casefold() or character
    return character


def _is_accent(mark: str) -> bool:
    """Return whether a mark does not distinguish words, by its combining class.

    Such are accents (200 and more) and overlays (1), the points of Hebrew, Arabic and Syriac
    (10 to 36), enclosing marks, and variation selectors. The vowels of Indian scripts and of
    Thai, and the voicing of kana, are not.
    """
    order = unicodedata.combining(mark)
    if order == 0:
        return unicodedata.category(mark) == "Me" or _VARIATION.fullmatch(mark) is not None
    return order == 1 or 10 <= order <= 36 or order >= 200


def _token(found: regex.Match[str]) -> str:
    """Return the word of a match; of an emoji its code point, as Postgres drops other signs."""
    return f"u{ord(found[0]):x}" if found["emoji"] else found[0]


def fold(text: str | None) -> str:
    """Return the folded words, joined by spaces."""
    return " ".join(words(text or ""))


@dataclass(frozen=True, slots=True)
class Term:
    """Words in sequence; ``required`` is False if they must not occur.

    With ``prefix`` the last word is a beginning.
    """

    words: tuple[str, ...]
    required: bool = True
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Search:
    """Alternatives, of one of which every term must hold. Empty: the search finds nothing."""

    alternatives: tuple[tuple[Term, ...], ...]

    @property
    def has_phrases(self) -> bool:
        """Whether a term has several words, so that their order matters."""
        return any(len(term.words) > 1 for terms in self.alternatives for term in terms)

    def expression(self, mode: SearchMode = SearchMode.ALL, *, prefix: bool = True) -> str:
        """Return the search as input of Postgres's ``to_tsquery``; empty for one without words."""
        return " | ".join(
            "(" + " & ".join(_expression(term, mode.weights, prefix) for term in terms) + ")"
            for terms in self.alternatives
        )


def without_excluded(text: str) -> str:
    """Return the text of a search without its syntax, and without what must not occur.

    >>> without_excluded('red "sports car" -toy')
    'red sports car'
    """
    terms = (term for term in _TERM.finditer(text) if not term["minus"])
    return " ".join(term["phrase"] or term["word"] or "" for term in terms)


def parse(text: str) -> Search:
    """Parse the text of a search.

    All words must occur, in any order; ``"several words"`` in this order; ``-word`` must not;
    ``or`` separates alternatives. A last word that is not followed by a space is a prefix. Any text
    is a valid search.

    >>> parse('red "sports car" or -bik').expression()
    "('red' & 'sports' <-> 'car') | (!('bik'))"
    """
    alternatives: list[list[Term]] = [[]]
    for found in _TERM.finditer(text):
        if found["word"] is not None and found["word"].casefold() == "or" and not found["minus"]:
            alternatives.append([])
            continue
        folded = words(found["phrase"] if found["word"] is None else found["word"])
        if folded:
            required = not found["minus"]
            unfinished = required and found["word"] is not None and found.end() == len(text)
            prefix = unfinished and _can_be_prefix(found["word"], folded[-1])
            alternatives[-1].append(Term(tuple(folded), required, prefix))
    return Search(tuple(tuple(terms) for terms in alternatives if terms))


def _can_be_prefix(written: str, last: str) -> bool:
    """Return whether a word may be a prefix: very short ones match too much, and slowly."""
    return len(last) >= SHORTEST_PREFIX and written[-1].isalnum()


def _expression(term: Term, weights: str, prefix: bool) -> str:
    *first, last = term.words
    parts = [_marked(word, weights) for word in first]
    parts.append(_marked(last, ("*" if term.prefix and prefix else "") + weights))
    text = " <-> ".join(parts)
    return text if term.required else f"!({text})"


def _marked(word: str, marks: str) -> str:
    return f"'{word}':{marks}" if marks else f"'{word}'"
