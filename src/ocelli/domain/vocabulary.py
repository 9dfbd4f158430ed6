"""A tenant's own vocabulary: the terms that tags are chosen from. Pure."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from ocelli.domain.errors import ValidationFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

MAX_TERMS = 5_000
MAX_NAMES = 20_000  # of terms and synonyms together
MAX_VOCABULARIES = 100
MAX_NAME = 200  # characters of a term, a synonym, or the name of a vocabulary
MAX_DEPTH = 16
MAX_SYNONYMS = 50
MAX_PATH = MAX_DEPTH * (MAX_NAME + 1)  # characters of a path as one text
MAX_DESCRIPTION = 1_000
SEPARATOR = "/"
_SLASH_IN_NAME = "\u2215"  # keeps a name such as "black/white" one level of its path


@dataclass(frozen=True, slots=True)
class Synonym:
    """Another name of a term; ``language`` is a code such as ``de``, if it is known."""

    text: str
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Term:
    """A term, with those above it: ``("animal", "dog", "terrier")``.

    One that is not ``selectable`` only groups those below it.
    """

    path: tuple[str, ...]
    synonyms: tuple[Synonym, ...] = ()
    description: str | None = None
    language: str | None = None
    selectable: bool = True

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path[-1]

    @property
    def text(self) -> str:
        """The path as one text: ``animal/dog/terrier``."""
        return SEPARATOR.join(self.path)

    @property
    def names(self) -> tuple[str, ...]:
        """The name and all synonyms."""
        return (self.name, *(each.text for each in self.synonyms))

    @property
    def key(self) -> tuple[str, ...]:
        """The same for the same term in other spellings."""
        return tuple(name_key(each) for each in self.path)


@dataclass(frozen=True)
class Terms:
    """The terms of a vocabulary, each once, those above before those below.

    ``duplicates`` counts what was given again in the same or another spelling.
    """

    terms: tuple[Term, ...]
    duplicates: int = 0

    @cached_property
    def digest(self) -> str:
        """A hash of all terms, whatever their order."""
        lines = sorted(json.dumps(to_json(each), sort_keys=True) for each in self.terms)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A stored vocabulary, without its terms."""

    id: UUID
    name: str
    term_count: int
    digest: str
    created_at: datetime
    updated_at: datetime


def clean(text: str) -> str:
    """Return the text in Unicode's composed form, on one line, without control characters.

    Marks of direction and joiners stay: words of some scripts need them.
    """
    kept = "".join(c for c in text if c.isspace() or unicodedata.category(c) not in ("Cc", "Cs"))
    return " ".join(unicodedata.normalize("NFC", kept).split())


def name_key(text: str) -> str:
    """Return what is equal for two spellings of a name: other case, width, composition, marks."""
    return _short_key(text) if len(text) <= MAX_NAME else _key(text)


def _key(text: str) -> str:
    folded = "".join(c for c in text if unicodedata.category(c) != "Cf")
    for _ in range(2):  # a folded letter may compose with the next, and be folded again
        folded = unicodedata.normalize("NFKC", folded).casefold()
    folded = unicodedata.normalize("NFKC", folded).replace(_SLASH_IN_NAME, SEPARATOR)
    return " ".join(folded.split())


_short_key = lru_cache(10_000)(_key)  # files repeat the names above


def path_of(names: Iterable[str]) -> tuple[str, ...]:
    """Return the path of these names, cleaned; empty ones are left out."""
    cleaned = (clean(each).replace(SEPARATOR, _SLASH_IN_NAME) for each in names)
    return tuple(each for each in cleaned if name_key(each))


def collected(entries: Iterable[tuple[int, Term]], unit: str = "Line") -> Terms:
    """Return the terms of numbered entries, merged by their keys.

    Terms that only stand in the paths of others are added. Stops at the first entry that breaks a
    limit. Raises ValidationFailed, which names the entry.
    """
    found: dict[tuple[str, ...], Term] = {}
    named: set[tuple[str, ...]] = set()
    duplicates = synonyms = 0
    for number, term in entries:
        if issue := _issue(term):
            raise wrong(number, issue, unit)
        key = term.key
        for depth in range(1, len(key)):
            if key[:depth] not in found:
                found[key[:depth]] = Term(term.path[:depth])
        known = found.get(key)
        if known is not None and key in named:
            duplicates += 1
            found[key] = _merged(known, term)
        else:
            found[key] = term
        named.add(key)
        synonyms += len(term.synonyms)
        if len(found) + synonyms > MAX_NAMES:
            raise wrong(number, f"names and synonyms are more than {MAX_NAMES:,}", unit)
        if len(found) > MAX_TERMS:
            raise wrong(number, f"a vocabulary has at most {MAX_TERMS:,} terms", unit)
    if not found:
        raise ValidationFailed("There is no term in it.", field="content")
    return Terms(tuple(_spelt(key, found) for key in found), duplicates)


def _spelt(key: tuple[str, ...], found: Mapping[tuple[str, ...], Term]) -> Term:
    """Return a term with one spelling for each level of its path."""
    path = tuple(found[key[: depth + 1]].name for depth in range(len(key)))
    return replace(found[key], path=path, synonyms=_distinct(found[key]))


def to_json(term: Term) -> dict[str, Any]:
    """Return the term as JSON; empty fields are left out."""
    synonyms = [
        {"text": each.text, **({"language": each.language} if each.language else {})}
        for each in term.synonyms
    ]
    value: dict[str, Any] = {"path": list(term.path)}
    value |= {"synonyms": synonyms} if synonyms else {}
    value |= {"description": term.description} if term.description else {}
    value |= {"language": term.language} if term.language else {}
    return value if term.selectable else value | {"selectable": False}


def from_json(value: Mapping[str, Any]) -> Term:
    """Return the term of ``to_json``."""
    return Term(
        tuple(value["path"]),
        tuple(Synonym(each["text"], each.get("language")) for each in value.get("synonyms", ())),
        value.get("description"),
        value.get("language"),
        value.get("selectable", True),
    )


def _issue(term: Term) -> str | None:
    """Return which limit the term breaks; None if it breaks none."""
    if not term.path:
        return "a term has no name"
    if len(term.path) > MAX_DEPTH:
        return f"a path has at most {MAX_DEPTH} levels"
    if any(len(each) > MAX_NAME for each in (*term.path, *term.names)):
        return f"a name has at most {MAX_NAME} characters"
    if len(term.description or "") > MAX_DESCRIPTION:
        return f"a description has at most {MAX_DESCRIPTION:,} characters"
    if len(term.synonyms) > MAX_SYNONYMS:
        return f"a term has at most {MAX_SYNONYMS} synonyms"
    return None


def _merged(first: Term, again: Term) -> Term:
    return replace(
        first,
        synonyms=(*first.synonyms, *again.synonyms)[: 2 * MAX_SYNONYMS],
        description=first.description or again.description,
        language=first.language or again.language,
        selectable=first.selectable or again.selectable,
    )


def _distinct(term: Term) -> tuple[Synonym, ...]:
    """Return the synonyms that differ from the name and from one another."""
    by_key: dict[str, Synonym] = {}
    for each in term.synonyms:
        if (key := name_key(each.text)) and key != name_key(term.name):
            by_key.setdefault(key, each)
    return tuple(by_key.values())[:MAX_SYNONYMS]


def wrong(number: int, issue: str, unit: str = "Line") -> ValidationFailed:
    """Return the error of one entry of a file."""
    return ValidationFailed(f"{unit} {number:,}: {issue}.", field="content", issue=issue)


def synonyms_of(texts: Sequence[str], language: str | None = None) -> tuple[Synonym, ...]:
    """Return the synonyms that these texts are, cleaned; empty ones are left out."""
    return tuple(Synonym(each, language) for text in texts if (each := clean(text)))
