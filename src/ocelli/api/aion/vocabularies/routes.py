"""Routes of ``/vocabularies``."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

from ocelli.api import cursors
from ocelli.api.aion.common import errors, resource_router
from ocelli.api.aion.vocabularies import mapping, schemas
from ocelli.api.auth import CurrentKey, CurrentServices
from ocelli.api.policy import requires
from ocelli.domain.errors import ValidationFailed
from ocelli.domain.paging import PageRequest
from ocelli.domain.scopes import KeyRole
from ocelli.domain.vocabulary import MAX_NAME

router = resource_router("/vocabularies", tag="vocabularies")

VocabularyId = Annotated[
    str, Path(max_length=MAX_NAME, description="The id, or the name.", examples=["animals"])
]


@router.post("", summary="Import a vocabulary", responses=errors(400, 409, 413))
@requires(KeyRole.WRITE, stores=True)
async def import_vocabulary(
    body: schemas.VocabularyImport, key: CurrentKey, services: CurrentServices
) -> schemas.ImportedVocabulary:
    """It takes the place of the vocabulary of this name, if there is one.

    Nothing is stored of a file that cannot be read whole; the error names the line.
    """
    done = await services.vocabularies.store(key.tenant.id, body.name, body.content, body.format)
    return mapping.imported(done)


@router.get("", summary="List vocabularies", responses=errors())
@requires(KeyRole.READ)
async def list_vocabularies(key: CurrentKey, services: CurrentServices) -> schemas.VocabularyList:
    """All of them, by name, without their terms."""
    found = await services.vocabularies.all(key.tenant.id)
    return schemas.VocabularyList(vocabularies=[mapping.vocabulary(each) for each in found])


@router.get("/{vocabulary_id}", summary="Get a vocabulary", responses=errors(404))
@requires(KeyRole.READ)
async def get_vocabulary(
    vocabulary_id: VocabularyId, key: CurrentKey, services: CurrentServices
) -> schemas.VocabularyOut:
    """Without its terms."""
    return mapping.vocabulary(await services.vocabularies.get(key.tenant.id, vocabulary_id))


@router.get("/{vocabulary_id}/terms", summary="List its terms", responses=errors(404))
@requires(KeyRole.READ)
async def list_terms(
    vocabulary_id: VocabularyId,
    key: CurrentKey,
    services: CurrentServices,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    cursor: cursors.Cursor = None,
) -> schemas.TermList:
    """In the order of the file; terms above others stand before them."""
    page = PageRequest(limit, after=cursors.from_cursor(cursor, "terms", int))
    return mapping.terms(await services.vocabularies.terms(key.tenant.id, vocabulary_id, page))


@router.post("/{vocabulary_id}/choose", summary="Choose tags for words", responses=errors(400, 404))
@requires(KeyRole.READ)
async def choose_tags(
    vocabulary_id: VocabularyId,
    body: schemas.ChoiceRequest,
    key: CurrentKey,
    services: CurrentServices,
) -> schemas.ChoiceOut:
    """By names, synonyms, and nearness of meaning; each tag says why it was chosen.

    For words that no name matches, the names of a new vocabulary need vectors first: a request
    makes them for up to a minute, then answers 503, and the next one goes on.
    """
    tenant, vocabularies = key.tenant.id, services.vocabularies
    if (body.words is None) == (body.file_id is None):
        raise ValidationFailed("Give either words or file_id.", field="words")
    if body.file_id is not None:
        made = await vocabularies.choose_for_picture(tenant, vocabulary_id, body.file_id, body.mode)
    else:
        made = await vocabularies.choose(tenant, vocabulary_id, body.words or [], body.mode)
    return mapping.choice(made)


@router.delete(
    "/{vocabulary_id}", summary="Delete a vocabulary", status_code=204, responses=errors(404)
)
@requires(KeyRole.WRITE)
async def delete_vocabulary(
    vocabulary_id: VocabularyId, key: CurrentKey, services: CurrentServices
) -> None:
    """With all of its terms. Tags that were chosen from it stay."""
    await services.vocabularies.delete(key.tenant.id, vocabulary_id)
