"""Routes of ``/user-files``: what is already here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Annotated
from uuid import UUID

from fastapi import Query, Request
from fastapi.responses import RedirectResponse

from ocelli.api import cursors
from ocelli.api.aion.common import FileId, absolute, asked_vocabulary, errors, resource_router
from ocelli.api.aion.describe.mapping import source as picture_source
from ocelli.api.aion.files import mapping, schemas
from ocelli.api.aion.policies.mapping import chosen
from ocelli.api.auth import CurrentKey, CurrentServices
from ocelli.api.idempotency import HEADER
from ocelli.api.policy import requires
from ocelli.api.services import Services
from ocelli.domain.accounts import ApiKey
from ocelli.domain.colors import RgbColor
from ocelli.domain.images import Image, VariantType
from ocelli.domain.paging import PageRequest
from ocelli.domain.questions import Question
from ocelli.domain.scopes import KeyRole
from ocelli.usecases.adhoc import StoredSource, UrlSource
from ocelli.usecases.lookup import existing
from ocelli.usecases.similar_pictures import Similar
from ocelli.usecases.text_index import described_as

router = resource_router("/user-files", tag="files")


@router.get("", summary="List files", responses=errors())
@requires(KeyRole.READ)
async def list_files(
    request: Request,
    key: CurrentKey,
    services: CurrentServices,
    filters: Annotated[schemas.FileFilters, Query()],
) -> schemas.FileList:
    """All filters must hold. `search` knows `"several words"`, `-without` and `or`.

    Words alone decide what a search finds; by relevance, words and meaning decide the order.
    """
    query = mapping.file_query(filters)
    if filters.color is not None:
        color = RgbColor.parse(filters.color)
        query = mapping.of_color(query, await services.colors.nearest(key.tenant.id, color))
    asked = mapping.page_request(filters, query)
    if filters.search and mapping.is_ranked(query):
        page = await services.library_search.page(key.tenant.id, query, filters.search, asked)
    else:
        page = await services.files.page(key.tenant.id, query, asked)
    url_of = await urls(request, services, page.images)
    return schemas.FileList(
        files=[mapping.file_summary(image, url_of) for image in page.images],
        total_count=page.total,
        has_more=page.has_more,
        next_cursor=mapping.next_cursor(page, query),
    )


@router.get("/{file_id}", summary="Everything about one file", responses=errors(404))
@requires(KeyRole.READ)
async def get_file(
    request: Request, file_id: FileId, key: CurrentKey, services: CurrentServices
) -> schemas.FileDetails:
    """Poll this for the description, or `/uploads/status/{id}` for less."""
    image, history = await services.files.with_history(key.tenant.id, file_id)
    return mapping.file_details(image, history, await urls(request, services, [image]))


@router.get("/{file_id}/similar", summary="Files that are like one of yours", responses=errors(404))
@requires(KeyRole.READ)
async def similar_files(
    request: Request,
    file_id: FileId,
    key: CurrentKey,
    services: CurrentServices,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> schemas.SimilarFiles:
    """By how they look, where `picture_embedder` is set, else by what is said of them.

    `compared_by` tells by which; it is null while the file has not been described.
    """
    found = await services.similar.to_stored(key.tenant.id, file_id, limit=limit)
    return await _similar(request, services, found)


@router.post(
    "/similar",
    summary="Files that are like another picture",
    responses=errors(400, 404, 413, 502, 504),
)
@requires(KeyRole.WRITE, stores=True)
async def similar_to(
    request: Request, body: schemas.SimilarTo, key: CurrentKey, services: CurrentServices
) -> schemas.SimilarFiles:
    """Compared as in `GET /user-files/{id}/similar`. By descriptions, one is made: one credit."""
    source = await asyncio.to_thread(picture_source, body)
    similar, tenant_id = services.similar, key.tenant.id
    match source:
        case StoredSource(object_key):
            found = await similar.to_key(tenant_id, object_key, limit=body.limit)
        case bytes() if similar.sees:
            found = await similar.to_picture(tenant_id, source, limit=body.limit)
        case UrlSource(url) if similar.sees:
            fetched = await services.fetcher.get(url)
            found = await similar.to_picture(tenant_id, fetched.data, limit=body.limit)
        case _:
            asked = await services.adhoc.ask(key.tenant, source, Question())
            answer = await services.adhoc.answered(
                tenant_id, asked.id, timeout=services.answer_timeout
            )
            found = await similar.to_texts(tenant_id, described_as(answer), limit=body.limit)
    return await _similar(request, services, found)


@router.get(
    "/{file_id}/variant/{variant_type}",
    summary="A smaller copy",
    status_code=302,
    response_class=RedirectResponse,
    responses=errors(404),
)
@requires(KeyRole.READ)
async def get_variant(
    request: Request,
    file_id: FileId,
    variant_type: VariantType,
    key: CurrentKey,
    services: CurrentServices,
) -> RedirectResponse:
    """Redirects to a URL that works for an hour without a key."""
    return await to_variant(request, services, key, file_id, variant_type)


@router.get(
    "/{file_id}/download",
    summary="The original",
    status_code=302,
    response_class=RedirectResponse,
    responses=errors(404, 502),
)
@requires(KeyRole.READ)
async def download(
    request: Request, file_id: FileId, key: CurrentKey, services: CurrentServices
) -> RedirectResponse:
    """Redirects to a URL that works for an hour without a key, as a download."""
    image = await services.files.get(key.tenant.id, file_id)
    return RedirectResponse(
        absolute(request, services, await services.files.download_url(image)), 302
    )


@router.patch(
    "/{file_id}",
    summary="Update title, description, tags, claims or review",
    responses=errors(400, 404, 409),
)
@requires(KeyRole.WRITE)
async def update_file(
    file_id: FileId, body: schemas.FileUpdate, key: CurrentKey, services: CurrentServices
) -> schemas.UpdatedFile:
    """What is not given stays; an empty text or list removes. Machines never change what you say.

    With `revision` it is refused with 409 if others were faster: `details.changes` tells what they
    did.
    """
    image = await services.edits.update(
        key.tenant.id, file_id, mapping.changes(body), author=key.name, revision=body.revision
    )
    return mapping.updated_file(image)


@router.get("/{file_id}/edits", summary="What people changed", responses=errors(404))
@requires(KeyRole.READ)
async def list_edits(
    file_id: FileId,
    key: CurrentKey,
    services: CurrentServices,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: cursors.Cursor = None,
) -> schemas.EditList:
    """Newest first, with who, when, and the value before."""
    page = PageRequest(limit, after=cursors.from_cursor(cursor, "edits", int, int))
    return mapping.edits(await services.edits.history(key.tenant.id, file_id, page))


@router.post("/{file_id}/edits/{edit_id}/undo", summary="Undo a change", responses=errors(404, 409))
@requires(KeyRole.WRITE)
async def undo_edit(
    file_id: FileId, edit_id: UUID, key: CurrentKey, services: CurrentServices
) -> schemas.UpdatedFile:
    """Sets its field back, as a new change. 409 if the field was changed again since."""
    image = await services.edits.undo(key.tenant.id, file_id, edit_id, author=key.name)
    return mapping.updated_file(image)


@router.post("/batch-delete", summary="Delete several files", responses=errors(400))
@requires(KeyRole.WRITE)
async def delete_files(
    body: schemas.BatchDelete, key: CurrentKey, services: CurrentServices
) -> schemas.BatchDeleted:
    """Files that are worked on right now are skipped, unknown ones fail; the rest is deleted."""
    return mapping.batch_deleted(await services.files.delete_many(key.tenant.id, body.file_ids))


@router.post(
    "/{file_id}/trigger-variants", summary="Make smaller copies again", responses=errors(404)
)
@requires(KeyRole.WRITE, stores=True)
async def trigger_variants(
    file_id: FileId, key: CurrentKey, services: CurrentServices
) -> schemas.VariantsTriggered:
    """They replace the present ones. While they are being made, asking again changes nothing."""
    return mapping.variants_triggered(*await services.files.remake_variants(key.tenant.id, file_id))


@router.post(
    "/describe",
    status_code=202,
    summary="Describe pictures again",
    responses=errors(404),
)
@requires(KeyRole.WRITE, stores=True)
async def redescribe_files(
    request: Request,
    body: schemas.RedescribeMatchingRequest,
    key: CurrentKey,
    services: CurrentServices,
) -> schemas.RedescriptionSubmitted:
    """All pictures that match the filters of `GET /user-files`; without a filter all.

    Answers at once; poll `GET /batch/{batch_id}`. Earlier descriptions are kept: the newest one is
    shown, all are `full_descriptions`. At most 10,000 pictures a request. Elsewhere the default
    backend stands in for an unknown one of `providers`; here that is refused.
    """
    vocabulary = await asked_vocabulary(body, key, services)
    question = mapping.known_question(body, services.backend_names, vocabulary)
    how = await chosen(body, key, services)
    done = await services.redescribe.matching(
        key.tenant,
        mapping.selection_query(body),
        how.of(question),
        how.level,
        policy_id=how.policy_id,
        request_key=request.headers.get(HEADER),
        webhook_url=body.webhook_url or key.tenant.webhook_url,
    )
    return mapping.redescription(done)


@router.post(
    "/{file_id}/describe",
    status_code=202,
    summary="Describe a picture again",
    responses=errors(404),
)
@requires(KeyRole.WRITE, stores=True)
async def redescribe_file(
    request: Request,
    file_id: FileId,
    key: CurrentKey,
    services: CurrentServices,
    body: schemas.RedescribeRequest | None = None,
) -> schemas.RedescriptionSubmitted:
    """At another level, by another backend or in other words; also what was cancelled or failed.

    Answers at once; poll `GET /user-files/{id}` until `description_status` is final, or
    `GET /batch/{batch_id}`. Until then the present description is shown; it stays in
    `full_descriptions`. While the same is being done, asking again changes nothing.
    """
    body = body or schemas.RedescribeRequest()
    vocabulary = await asked_vocabulary(body, key, services)
    question = mapping.known_question(body, services.backend_names, vocabulary)
    how = await chosen(body, key, services)
    image_id, done = await services.redescribe.one(
        key.tenant,
        file_id,
        how.of(question),
        how.level,
        policy_id=how.policy_id,
        request_key=request.headers.get(HEADER),
    )
    return mapping.redescription(done, image_id)


@router.delete("/{file_id}", summary="Delete a file", responses=errors(404))
@requires(KeyRole.WRITE)
async def delete_file(
    file_id: FileId, key: CurrentKey, services: CurrentServices
) -> schemas.DeletedFile:
    """Out of every answer at once; the bytes are kept for 30 days."""
    image, deleted_at = await services.files.delete(key.tenant.id, file_id)
    return schemas.DeletedFile(
        id=str(image.id), deleted_at=deleted_at, message=f"{image.filename} was deleted."
    )


async def _similar(request: Request, services: Services, found: Similar) -> schemas.SimilarFiles:
    images = [each.image for each in found.pictures]
    return mapping.similar(found, await urls(request, services, images))


async def urls(request: Request, services: Services, images: Iterable[Image]) -> mapping.UrlOf:
    """What makes absolute URLs of these pictures."""
    links = await services.files.links(images)

    def url_of(image: Image, type: VariantType) -> str | None:
        url = links.url(image, type)
        return url and absolute(request, services, url)

    return url_of


async def to_variant(
    request: Request, services: Services, key: ApiKey, file_id: str, type: VariantType
) -> RedirectResponse:
    """A redirect to one copy of a picture. Raises NotFound."""
    image = await services.files.get(key.tenant.id, file_id)
    url = (await urls(request, services, [image]))(image, type)
    return RedirectResponse(existing(url, "Variant", f"{file_id}/{type}"), 302)
