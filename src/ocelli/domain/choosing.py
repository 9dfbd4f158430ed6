"""Choose tags from a vocabulary for words that a picture was described with. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

import regex

from ocelli.domain import grammar
from ocelli.domain.search import words
from ocelli.domain.vocabulary import MAX_PATH, SEPARATOR, name_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ocelli.domain.vocabulary import Term, Terms

Key = TypeVar("Key")

SIMILAR = 0.85  # least cosine of two names of one thing; see docs/decisions/0043-vocabulary.md
MAX_SIMILAR_WORDS = 3  # longer phrases are sentences: their vectors are near to no single term
_LONGEST_PLURAL = 4  # words of a phrase whose singular is looked for
_LONGEST_PART = 16  # words of a name within a phrase; longer ones must be all of it
_DENIES = regex.compile(r"\b(?:no|not|never|neither|nor|without|none|cannot)\b|n['’]t\b", regex.I)
_LATIN = regex.compile(r"\p{Latin}")


class Mode(StrEnum):
    """How a vocabulary is used: only its terms; others too, marked as new; not at all."""

    STRICT = "strict"
    PREFER = "prefer"
    OFF = "off"


class Match(StrEnum):
    """Why a term was chosen: its name or a synonym was said, or a word of near meaning."""

    NAME = "name"
    SYNONYM = "synonym"
    SIMILAR = "similar"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class ChosenTag:
    """A chosen tag. ``word`` is what was said, ``name`` what the term is called that it is or is
    like; both ``term`` and ``name`` are None for a new tag.

    ``score`` is 1 where a name was said, else the cosine of the meanings.
    """

    tag: str
    term: Term | None
    match: Match
    word: str
    score: float
    name: str | None = None


@dataclass(frozen=True, slots=True)
class NotChosen:
    """A word for which there is no term. ``nearest`` is the name that came nearest, if any did."""

    word: str
    nearest: str | None
    score: float | None


@dataclass(frozen=True, slots=True)
class Choice:
    """The tags that were chosen, the best first, and the words for which there is none."""

    tags: list[ChosenTag]
    not_chosen: list[NotChosen]


class TermIndex:
    """The selectable terms of a vocabulary by everything they are called.

    Names are compared as searches are: see ``ocelli.domain.search``.
    """

    def __init__(self, terms: Terms) -> None:
        self._names: dict[tuple[str, ...], list[Term]] = {}
        self._synonyms: dict[tuple[str, ...], list[Term]] = {}
        self._firsts: set[str] = set()
        self._paths: dict[str, Term] = {}
        self.digest = terms.digest
        self._longest = 1
        self.texts: dict[str, list[Term]] = {}  # that have a meaning to compare with
        for term in terms.terms:
            if term.selectable:
                self._add(term)

    def _add(self, term: Term) -> None:
        self._paths[name_key(term.text)] = term
        for position, name in enumerate(term.names):
            known = self._synonyms if position else self._names
            for form in {tuple(words(name)), _singular(words(name))} - {()}:
                _put(known, form, term)
                self._firsts.add(form[0])
                self._longest = min(max(self._longest, len(form)), _LONGEST_PART)
        for name in _english_names(term):
            _put(self.texts, name, term)

    @property
    def paths(self) -> tuple[str, ...]:
        """The selectable terms, in the order of the file."""
        return tuple(term.text for term in self._paths.values())

    def at(self, path: str) -> ChosenTag | None:
        """Return the term of this path, in any spelling."""
        term = self._paths.get(name_key(path)) if len(path) <= MAX_PATH else None
        if term is None:
            return None
        return ChosenTag(term.text, term, Match.NAME, path, 1.0, term.name)

    def named_in(self, phrase: str) -> list[ChosenTag]:
        """Return the terms that a phrase names; one, if it is a path such as ``animal/dog``.

        Of overlapping names the longest counts: "hot dog" names no dog.
        """
        if SEPARATOR in phrase and (whole_path := self.at(phrase)):
            return [whole_path]
        said = words(phrase)
        if whole := self._called(said):
            return whole
        chosen: list[ChosenTag] = []
        at = 0
        while at < len(said):
            begins = said[at] in self._firsts or self._firsts.intersection(_singular((said[at],)))
            longest = min(self._longest, len(said) - at) if begins else 0
            for length in range(longest, 0, -1):
                if found := self._called(said[at : at + length]):
                    chosen += found
                    at += length
                    break
            else:
                at += 1
        return chosen

    def _called(self, said: Sequence[str]) -> list[ChosenTag]:
        forms = [tuple(said)]
        if len(said) <= _LONGEST_PLURAL:
            forms.append(_singular(said))
        for form in forms:
            for known, match in ((self._names, Match.NAME), (self._synonyms, Match.SYNONYM)):
                if terms := known.get(form):
                    word = " ".join(said)
                    return [ChosenTag(each.text, each, match, word, 1.0, word) for each in terms]
        return []


def for_meaning(phrase: str) -> bool:
    """Whether the vector of a phrase may be compared with those of terms."""
    return bool(_LATIN.search(phrase)) and len(words(phrase)) <= MAX_SIMILAR_WORDS


def choose(
    phrases: Iterable[str],
    index: TermIndex,
    nearest: Mapping[str, tuple[str, float]],
    mode: Mode = Mode.STRICT,
    *,
    sentences: Iterable[str] = (),
    offered: bool = False,
) -> Choice:
    """Return the tags for phrases, each once, the best first.

    ``nearest`` has for phrases that name no term the nearest name of one, with its cosine.
    ``sentences`` count for the terms that they name only, and not if they deny something.
    ``offered``: who said the phrases had the paths of the terms to choose from.
    """
    chosen: list[ChosenTag] = []
    unmatched: list[str] = []
    for phrase in dict.fromkeys(phrases):
        found = [] if mode is Mode.OFF else _for(phrase, index, nearest.get(phrase), offered)
        chosen += found
        if not found and mode is Mode.STRICT:
            unmatched.append(phrase)
        elif not found and phrase.strip():
            chosen.append(ChosenTag(phrase, None, Match.NEW, phrase, 0.0))
    if mode is not Mode.OFF:
        told = (each for each in sentences if not _DENIES.search(each))
        chosen += [each for sentence in told for each in index.named_in(sentence)]
    best: dict[str, ChosenTag] = {}
    for tag in sorted(chosen, key=lambda each: -each.score):
        best.setdefault(tag.tag, tag)
    return Choice(
        list(best.values()),
        [NotChosen(each, *nearest.get(each, (None, None))) for each in unmatched],
    )


def _for(
    phrase: str, index: TermIndex, near: tuple[str, float] | None, offered: bool
) -> list[ChosenTag]:
    if offered and (at := index.at(phrase)):
        return [at]
    if named := index.named_in(phrase):
        return named
    if near is None or near[1] < SIMILAR:
        return []
    name, score = near
    return [
        ChosenTag(each.text, each, Match.SIMILAR, phrase, round(score, 4), name)
        for each in index.texts[name]
    ]


def _singular(said: Sequence[str]) -> tuple[str, ...]:
    return _singular_of(" ".join(said))


@lru_cache(10_000)
def _singular_of(phrase: str) -> tuple[str, ...]:
    return tuple(grammar.singular(phrase).split())


def _english_names(term: Term) -> list[str]:
    """Return the names that the embedder can read: in Latin letters, of no other language."""
    names = [(term.name, term.language), *((each.text, each.language) for each in term.synonyms)]
    return [
        name
        for name, language in names
        if (language or "en").casefold().startswith("en") and for_meaning(name)
    ]


def _put(known: dict[Key, list[Term]], key: Key, term: Term) -> None:
    if term not in known.setdefault(key, []):
        known[key].append(term)
