"""Vocabularies: the terms that tags are chosen from."""

from dataclasses import field
from datetime import datetime
from typing import Literal

from aion.types._model import Model, record

VocabularyMode = Literal["strict", "prefer", "off"]


@record
class Vocabulary(Model):
    """A vocabulary, without its terms; ``digest`` is equal for equal content.

    ``duplicates``, of an import: terms that stood in the file before, in this or another spelling.
    """

    id: str
    name: str = ""
    term_count: int = 0
    digest: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    duplicates: int | None = None


@record
class VocabularyList(Model):
    """All vocabularies of the account."""

    vocabularies: list[Vocabulary] = field(default_factory=list)


@record
class TermSynonym(Model):
    """Another name of a term."""

    text: str
    language: str | None = None


@record
class VocabularyTerm(Model):
    """A term, with those above it in ``path``; one that is not ``selectable`` only groups."""

    path: str
    name: str = ""
    synonyms: list[TermSynonym] = field(default_factory=list)
    description: str | None = None
    language: str | None = None
    selectable: bool = True


@record
class VocabularyTermList(Model):
    """One page of the terms of a vocabulary."""

    terms: list[VocabularyTerm] = field(default_factory=list)
    has_more: bool = False
    next_cursor: str | None = None


@record
class ChosenTag(Model):
    """A tag that was chosen for ``word``.

    ``match`` is ``name``, ``synonym``, ``similar`` or ``new``; ``name`` what the term is called
    that ``word`` is, or is like; ``score`` from 0 to 1.
    """

    tag: str
    match: str = ""
    word: str = ""
    name: str | None = None
    score: float = 0.0


@record
class NotChosen(Model):
    """A word for which there is no term, and how near one came."""

    word: str
    nearest: str | None = None
    score: float | None = None


@record
class TagChoice(Model):
    """The tags for words, the best first; ``threshold`` is the least score of a similar term."""

    tags: list[ChosenTag] = field(default_factory=list)
    not_chosen: list[NotChosen] = field(default_factory=list)
    threshold: float = 0.0


@record
class DefaultVocabulary(Model):
    """The vocabulary of requests that name none; all None if there is no such."""

    vocabulary: str | None = None
    vocabulary_id: str | None = None
    mode: str | None = None
