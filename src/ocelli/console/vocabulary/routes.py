"""Routes of vocabularies: all, one with its terms and a trial, import, delete."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from ocelli.api.cursors import Cursor, from_cursor, to_cursor
from ocelli.api.policy import requires
from ocelli.console.pages import render
from ocelli.console.visitors import CurrentConsole, CurrentVisitor, PostedForm
from ocelli.console.vocabulary import mapping
from ocelli.domain.choosing import Mode
from ocelli.domain.file_query import FileQuery
from ocelli.domain.paging import PageRequest
from ocelli.domain.scopes import KeyRole
from ocelli.domain.vocabulary import MAX_NAME
from ocelli.domain.vocabulary_files import VocabularyFormat

router = APIRouter(prefix="/vocabulary")

VocabularyId = Annotated[str, Path(max_length=MAX_NAME)]
Text = Annotated[str, Query(max_length=2000, pattern=r"^[^\x00]*$")]


@router.get("")
@requires(KeyRole.READ)
async def show_vocabularies(
    request: Request, visitor: CurrentVisitor, console: CurrentConsole, done: Text = ""
) -> Response:
    """All of them, and a form to import one."""
    return await render(
        request,
        "vocabularies.html",
        vocabularies=await console.services.vocabularies.all(visitor.key.tenant.id),
        formats=list(VocabularyFormat),
        done=done,
        requests=mapping.api_requests(),
    )


@router.post("")
@requires(KeyRole.WRITE, stores=True)
async def add_vocabulary(
    visitor: CurrentVisitor, console: CurrentConsole, form: PostedForm
) -> Response:
    """Import what was pasted, in the place of the vocabulary of this name."""
    done = await console.services.vocabularies.store(
        visitor.key.tenant.id,
        form.get("name"),
        form.get("content"),
        mapping.file_format(form.get("format")),
    )
    merged = f" {done.duplicates:,} came twice and were merged." if done.duplicates else ""
    said = f"Imported: {done.vocabulary.term_count:,} terms.{merged}"
    return RedirectResponse(
        f"{console.root}/vocabulary/{done.vocabulary.id}?done={quote(said)}", 303
    )


@router.get("/{vocabulary_id}")
@requires(KeyRole.READ)
async def show_vocabulary(
    request: Request,
    vocabulary_id: VocabularyId,
    visitor: CurrentVisitor,
    console: CurrentConsole,
    done: Text = "",
    words: Text = "",
    picture: Annotated[str, Query(max_length=64)] = "",
    cursor: Cursor = None,
) -> Response:
    """Its terms, and a trial on words or a picture."""
    services, tenant = console.services, visitor.key.tenant.id
    vocabulary = await services.vocabularies.get(tenant, vocabulary_id)
    page = PageRequest(mapping.TERMS, after=from_cursor(cursor, "terms", int))
    terms = await services.vocabularies.terms(tenant, str(vocabulary.id), page)
    newest = await services.files.page(tenant, FileQuery(), PageRequest(mapping.PICTURES))
    choice = None
    if picture:
        choice = await services.vocabularies.choose_for_picture(
            tenant, str(vocabulary.id), picture, Mode.PREFER
        )
    elif given := mapping.words(words):
        choice = await services.vocabularies.choose(tenant, str(vocabulary.id), given, Mode.PREFER)
    return await render(
        request,
        "vocabulary.html",
        vocabulary=vocabulary,
        terms=terms.terms,
        next_cursor=terms.next and to_cursor("terms", terms.next),
        pictures=newest.images,
        picture=picture,
        words=words,
        choice=choice,
        matches=mapping.MATCHES,
        done=done,
        requests=mapping.api_requests(vocabulary),
    )


@router.post("/{vocabulary_id}/delete")
@requires(KeyRole.WRITE)
async def remove_vocabulary(
    vocabulary_id: VocabularyId, visitor: CurrentVisitor, console: CurrentConsole
) -> Response:
    """Delete one; tags that were chosen from it stay."""
    await console.services.vocabularies.delete(visitor.key.tenant.id, vocabulary_id)
    said = quote("Deleted. Tags that were chosen from it stay.")
    return RedirectResponse(f"{console.root}/vocabulary?done={said}", 303)
