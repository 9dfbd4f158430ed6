"""From the domain to the bodies of ``/vocabularies``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.api import cursors
from ocelli.api.aion.vocabularies import schemas
from ocelli.api.verified import ChosenTagOut
from ocelli.domain.choosing import SIMILAR

if TYPE_CHECKING:
    from ocelli.domain.choosing import Choice
    from ocelli.domain.vocabulary import Term, Vocabulary
    from ocelli.usecases.vocabularies import Imported, TermPage


def vocabulary(stored: Vocabulary) -> schemas.VocabularyOut:
    """Return a vocabulary."""
    return schemas.VocabularyOut(
        id=str(stored.id),
        name=stored.name,
        term_count=stored.term_count,
        digest=stored.digest,
        created_at=stored.created_at,
        updated_at=stored.updated_at,
    )


def imported(done: Imported) -> schemas.ImportedVocabulary:
    """Return a vocabulary that was imported."""
    stored = vocabulary(done.vocabulary).model_dump()
    return schemas.ImportedVocabulary(**stored, duplicates=done.duplicates)


def terms(page: TermPage) -> schemas.TermList:
    """Return a page of terms."""
    return schemas.TermList(
        terms=[term(each) for each in page.terms],
        has_more=page.next is not None,
        next_cursor=page.next and cursors.to_cursor("terms", page.next),
    )


def term(stored: Term) -> schemas.TermOut:
    """Return a term."""
    return schemas.TermOut(
        path=stored.text,
        name=stored.name,
        synonyms=[
            schemas.SynonymOut(text=each.text, language=each.language) for each in stored.synonyms
        ],
        description=stored.description,
        language=stored.language,
        selectable=stored.selectable,
    )


def choice(made: Choice) -> schemas.ChoiceOut:
    """Return the chosen tags."""
    return schemas.ChoiceOut(
        tags=[
            ChosenTagOut(
                tag=each.tag,
                match=each.match,
                word=each.word,
                name=each.name,
                score=each.score,
            )
            for each in made.tags
        ],
        not_chosen=[
            schemas.NotChosenOut(
                word=each.word,
                nearest=each.nearest,
                score=None if each.score is None else round(each.score, 4),
            )
            for each in made.not_chosen
        ],
        threshold=SIMILAR,
    )
