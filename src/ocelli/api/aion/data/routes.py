"""Routes of ``/data``: what was said, files of it, and addresses of pictures."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Path, Query, Request
from fastapi.responses import RedirectResponse

from ocelli.api.aion.common import FileId, Moment, absolute, errors, resource_router
from ocelli.api.aion.data import mapping, schemas
from ocelli.api.aion.files.routes import to_variant, urls
from ocelli.api.auth import CurrentKey, CurrentServices
from ocelli.api.cursors import Cursor, from_cursor
from ocelli.api.policy import requires
from ocelli.api.services import Services
from ocelli.domain.history import Export
from ocelli.domain.images import VariantType
from ocelli.domain.paging import PageRequest
from ocelli.domain.scopes import KeyRole

router = resource_router("/data", tag="data")

Size = Literal["tiny", "small", "medium"]
_VARIANTS: dict[Size, VariantType] = {
    "tiny": VariantType.TINY,
    "small": VariantType.SMALL,
    "medium": VariantType.MEDIUM,
}
ItemId = Annotated[str, Path(max_length=36, description="Of the results of a batch.")]
Confidence = Annotated[float | None, Query(ge=0, le=1)]


@router.get("/descriptions", summary="Every description so far", responses=errors())
@requires(KeyRole.READ)
async def list_descriptions(
    request: Request,
    key: CurrentKey,
    services: CurrentServices,
    start_date: Moment | None = None,
    end_date: Annotated[Moment | None, Query(description="A day is included as a whole.")] = None,
    min_confidence: Confidence = None,
    max_confidence: Confidence = None,
    search: Annotated[
        str, Query(max_length=500, description="Terms with commas between; all must occur.")
    ] = "",
    source_types: Annotated[
        str, Query(max_length=50, description="single, batch, or both with a comma.")
    ] = "",
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Cursor = None,
) -> schemas.DescriptionHistory:
    """Newest first, with numbers about all that match."""
    query = mapping.history_query(
        start=start_date,
        end=end_date,
        min_confidence=min_confidence,
        max_confidence=max_confidence,
        terms=search.split(","),
        sources=source_types.split(","),
    )
    page_request = PageRequest(limit, offset, from_cursor(cursor, "descriptions", datetime, UUID))
    page = await services.history.page(key.tenant.id, query, page_request)
    url_of = await urls(request, services, page.images)
    by_id = {image.id: image for image in page.images}
    return schemas.DescriptionHistory(
        results=[
            mapping.description(each, by_id.get(each.image_id), url_of) for each in page.records
        ],
        total_count=page.statistics.total,
        statistics=mapping.statistics(page.statistics),
        filters_applied=mapping.filters_applied(query),
        page_info=mapping.page_info(page, page_request),
    )


@router.post("/export", status_code=202, summary="Export descriptions", responses=errors())
@requires(KeyRole.READ, stores=True)
async def create_export(
    request: Request, body: schemas.ExportRequest, key: CurrentKey, services: CurrentServices
) -> schemas.ExportState:
    """Answers at once; poll `GET /data/export/{id}` for the address of the file."""
    export = await services.history.export(key.tenant.id, mapping.export_request(body))
    return _state(request, services, export)


@router.get("/export/{export_id}", summary="How far an export has come", responses=errors(404))
@requires(KeyRole.READ)
async def get_export(
    request: Request, export_id: UUID, key: CurrentKey, services: CurrentServices
) -> schemas.ExportState:
    """Ends as `completed` with an address, or as `failed` with a reason."""
    return _state(request, services, await services.history.get_export(key.tenant.id, export_id))


@router.get(
    "/images/{image_id}",
    summary="A picture",
    status_code=302,
    response_class=RedirectResponse,
    responses=errors(404),
)
@requires(KeyRole.READ)
async def get_image(
    request: Request,
    image_id: FileId,
    key: CurrentKey,
    services: CurrentServices,
    thumbnail: Annotated[bool, Query(description="False: the original.")] = True,
    size: Size = "small",
) -> RedirectResponse:
    """Redirects to a URL that works for an hour without a key."""
    type = _VARIANTS[size] if thumbnail else VariantType.ORIGINAL
    return await to_variant(request, services, key, image_id, type)


@router.get(
    "/images/{image_id}/thumbnail",
    summary="A smaller copy of a picture by its size",
    status_code=302,
    response_class=RedirectResponse,
    responses=errors(404),
)
@requires(KeyRole.READ)
async def get_thumbnail(
    request: Request,
    image_id: FileId,
    key: CurrentKey,
    services: CurrentServices,
    size: Annotated[
        Size, Query(description="tiny: 64 pixels, small: 256, medium: 750 on the longer side.")
    ] = "small",
) -> RedirectResponse:
    """Redirects to a URL that works for an hour without a key."""
    return await to_variant(request, services, key, image_id, _VARIANTS[size])


@router.get(
    "/images/{image_id}/variant/{variant_type}",
    summary="A smaller copy of a picture by its type",
    status_code=302,
    response_class=RedirectResponse,
    responses=errors(404),
)
@requires(KeyRole.READ)
async def get_image_variant(
    request: Request,
    image_id: FileId,
    variant_type: VariantType,
    key: CurrentKey,
    services: CurrentServices,
) -> RedirectResponse:
    """Redirects to a URL that works for an hour without a key."""
    return await to_variant(request, services, key, image_id, variant_type)


@router.get(
    "/batch-images/{item_id}",
    summary="The picture of a batch's item",
    status_code=302,
    response_class=RedirectResponse,
    responses=errors(404),
)
@requires(KeyRole.READ)
async def get_batch_image(
    request: Request,
    item_id: ItemId,
    key: CurrentKey,
    services: CurrentServices,
    thumbnail: Annotated[bool, Query(description="False: the original.")] = True,
    size: Size = "small",
) -> RedirectResponse:
    """Of pictures in the library; those that a batch brought itself are not kept: 404.

    Redirects to a URL that works for an hour without a key.
    """
    image_id = await services.files.id_of_item(key.tenant.id, item_id)
    type = _VARIANTS[size] if thumbnail else VariantType.ORIGINAL
    return await to_variant(request, services, key, str(image_id), type)


@router.get(
    "/batch-images/{batch_item_id}/thumbnail",
    summary="A smaller copy of the picture of a batch's item",
    status_code=302,
    response_class=RedirectResponse,
    responses=errors(404),
)
@requires(KeyRole.READ)
async def get_batch_thumbnail(
    request: Request,
    batch_item_id: ItemId,
    key: CurrentKey,
    services: CurrentServices,
    size: Size = "small",
) -> RedirectResponse:
    """Redirects to a URL that works for an hour without a key."""
    image_id = await services.files.id_of_item(key.tenant.id, batch_item_id)
    return await to_variant(request, services, key, str(image_id), _VARIANTS[size])


@router.get("/images/{image_id}/variants", summary="All copies of a picture", responses=errors(404))
@requires(KeyRole.READ)
async def list_variants(
    request: Request, image_id: FileId, key: CurrentKey, services: CurrentServices
) -> schemas.VariantLinks:
    """With addresses that work for an hour without a key."""
    image = await services.files.get(key.tenant.id, image_id)
    return mapping.variant_links(image, await urls(request, services, [image]))


def _state(request: Request, services: Services, export: Export) -> schemas.ExportState:
    url = services.history.download_url(export)
    return mapping.export_state(export, url and absolute(request, services, url))
