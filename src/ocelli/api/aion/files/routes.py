"""Routes of ``/user-files``: what is already here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse

from ocelli.api.aion.common import FileId, absolute, errors
from ocelli.api.aion.files import mapping, schemas
from ocelli.api.auth import CurrentKey, CurrentServices
from ocelli.api.services import Services
from ocelli.domain.errors import NotFound
from ocelli.domain.images import Image, VariantType

router = APIRouter(prefix="/user-files", tags=["files"])


@router.get("", summary="List files", responses=errors())
async def list_files(
    request: Request,
    key: CurrentKey,
    mine: CurrentServices,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> schemas.FileList:
    """Newest content first."""
    page = await mine.files.page(key.tenant.id, limit=limit, offset=offset)
    url_of = await urls(request, mine, page.images)
    return schemas.FileList(
        files=[mapping.file_summary(image, url_of) for image in page.images],
        total_count=page.total,
        has_more=page.has_more,
    )


@router.get("/{file_id}", summary="Everything about one file", responses=errors(404))
async def get_file(
    request: Request, file_id: FileId, key: CurrentKey, mine: CurrentServices
) -> schemas.FileDetails:
    """Poll this for the description, or `/uploads/status/{id}` for less."""
    image = await mine.files.get(key.tenant.id, file_id)
    history = await mine.files.history(image)
    return mapping.file_details(image, history, await urls(request, mine, [image]))


@router.get(
    "/{file_id}/variant/{variant_type}",
    summary="A smaller copy",
    status_code=302,
    response_class=RedirectResponse,
    responses=errors(404),
)
async def get_variant(
    request: Request,
    file_id: FileId,
    variant_type: VariantType,
    key: CurrentKey,
    mine: CurrentServices,
) -> RedirectResponse:
    """Redirects to a URL that works for an hour without a key."""
    image = await mine.files.get(key.tenant.id, file_id)
    url = (await urls(request, mine, [image]))(image, variant_type)
    if url is None:
        raise NotFound("Variant", f"{file_id}/{variant_type}")
    return RedirectResponse(url, 302)


@router.get(
    "/{file_id}/download",
    summary="The original",
    status_code=302,
    response_class=RedirectResponse,
    responses=errors(404),
)
async def download(
    request: Request, file_id: FileId, key: CurrentKey, mine: CurrentServices
) -> RedirectResponse:
    """Redirects to a URL that works for an hour without a key, as a download."""
    image = await mine.files.get(key.tenant.id, file_id)
    return RedirectResponse(absolute(request, mine, await mine.files.download_url(image)), 302)


@router.delete("/{file_id}", summary="Delete a file", responses=errors(404))
async def delete_file(
    file_id: FileId, key: CurrentKey, mine: CurrentServices
) -> schemas.DeletedFile:
    """Out of every answer at once; the bytes are kept for 30 days."""
    image, deleted_at = await mine.files.delete(key.tenant.id, file_id)
    return schemas.DeletedFile(
        id=str(image.id), deleted_at=deleted_at, message=f"{image.filename} was deleted."
    )


async def urls(request: Request, mine: Services, images: Iterable[Image]) -> mapping.UrlOf:
    """What makes absolute URLs of these pictures."""
    links = await mine.files.links(images)

    def url_of(image: Image, type: VariantType) -> str | None:
        url = links.url(image, type)
        return url and absolute(request, mine, url)

    return url_of
