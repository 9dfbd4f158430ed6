"""Words to search by: how texts are folded, and what people may write into a search box.

Texts and searches are folded alike, here and nowhere else, so that what a person sees is what a
person finds: case, accents and width do not matter, punctuation separates, and scripts that are
written without spaces are cut into single characters (a search for several is one for a phrase).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

LONGEST_WORD = 64
SHORTEST_PREFIX = 3
# Thai, Lao, Tibetan, Myanmar, Khmer, kana, Han.
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff])"
)
_ASCII_WORD = re.compile("[a-z0-9]+")
_ACCENTS = re.compile("[\u0300-\u036f]+")
_TERM = re.compile(r'(?P<minus>-?)(?:"(?P<phrase>[^"]*)"?|(?P<word>[^\s"]+))')


class SearchMode(StrEnum):
    """Which texts are searched; the metadata are title, file name, tags and description."""

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
    """The folded words of a text, in order.

    >>> words("Café-Bar №1, 東京")
    ['cafe', 'bar', 'no1', '東', '京']
    """
    if text.isascii():
        return [word[:LONGEST_WORD] for word in _ASCII_WORD.findall(text.lower())]
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    # A dotless i has the capital I of the dotted one, so without case they are one letter.
    plain = unicodedata.normalize("NFKC", plain).casefold().replace("ı", "i")
    spaced = _UNSPACED.sub(r" \1 ", plain)
    kept = "".join(c if unicodedata.category(c)[0] in "LNM" else " " for c in spaced)
    return [word[:LONGEST_WORD] for word in kept.split()]


def fold(text: str | None) -> str:
    """The words with spaces between them."""
    return " ".join(words(text or ""))


@dataclass(frozen=True, slots=True)
class Term:
    """Words that must follow each other; ``wanted`` is False where they must not occur.

    With ``prefix`` the last word may go on.
    """

    words: tuple[str, ...]
    wanted: bool = True
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Search:
    """Alternatives; of one of them every term must hold. None at all: nothing can be found."""

    alternatives: tuple[tuple[Term, ...], ...]

    @property
    def has_phrases(self) -> bool:
        """Whether the order of words counts."""
        return any(len(term.words) > 1 for terms in self.alternatives for term in terms)

    def expression(self, mode: SearchMode = SearchMode.ALL, *, prefix: bool = True) -> str:
        """The search as input of Postgres's ``to_tsquery``; empty if there is no word in it."""
        return " | ".join(
            "(" + " & ".join(_expression(term, mode.weights, prefix) for term in terms) + ")"
            for terms in self.alternatives
        )


def parse(text: str) -> Search:
    """What was written into the search box.

    All words must occur, in any order; ``"several words"`` in this order; ``-word`` must not;
    ``or`` separates alternatives. A last word that is not followed by a space may go on. Any text
    is a search: there are no errors.

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
            wanted = not found["minus"]
            unfinished = wanted and found["word"] is not None and found.end() == len(text)
            prefix = unfinished and _may_go_on(found["word"], folded[-1])
            alternatives[-1].append(Term(tuple(folded), wanted, prefix))
    return Search(tuple(tuple(terms) for terms in alternatives if terms))


def _may_go_on(written: str, last: str) -> bool:
    """Short beginnings are those of half the dictionary: neither useful nor cheap."""
    return len(last) >= SHORTEST_PREFIX and written[-1].isalnum()


def _expression(term: Term, weights: str, prefix: bool) -> str:
    *first, last = term.words
    parts = [_marked(word, weights) for word in first]
    parts.append(_marked(last, ("*" if term.prefix and prefix else "") + weights))
    text = " <-> ".join(parts)
    return text if term.wanted else f"!({text})"


def _marked(word: str, marks: str) -> str:
    return f"'{word}':{marks}" if marks else f"'{word}'"
