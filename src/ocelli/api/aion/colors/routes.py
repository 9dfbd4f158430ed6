"""Routes of ``/colors``."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request

from ocelli.api.aion.colors import mapping, schemas
from ocelli.api.aion.common import FileId, errors, resource_router
from ocelli.api.aion.files.routes import urls
from ocelli.api.auth import CurrentKey, CurrentServices
from ocelli.api.cursors import from_cursor, to_cursor
from ocelli.api.policy import requires
from ocelli.domain.colors import FAMILIES, MAX_COLORS, MIN_COLORS
from ocelli.domain.paging import PageRequest
from ocelli.domain.scopes import KeyRole

router = resource_router("/colors", tag="colors")


@router.get("/images/{image_id}", summary="The colours of a picture", responses=errors(404))
@requires(KeyRole.READ)
async def get_colors(
    image_id: FileId, key: CurrentKey, services: CurrentServices
) -> schemas.ColorExtraction:
    """They come by themselves with every picture; until then the status is `pending`."""
    return mapping.color_extraction(await services.colors.get(key.tenant.id, image_id))


@router.post("/images/{image_id}/extract", summary="Extract colours anew", responses=errors(404))
@requires(KeyRole.WRITE)
async def extract_colors(
    image_id: FileId,
    key: CurrentKey,
    services: CurrentServices,
    force: Annotated[bool, Query(description="Also if they are there already.")] = False,
    n_colors: Annotated[
        int, Query(ge=MIN_COLORS, le=MAX_COLORS, description="How many at most.")
    ] = MAX_COLORS,
) -> schemas.ColorExtraction:
    """Answers at once; poll `GET /colors/images/{id}` until it is `completed` or `failed`."""
    extraction = await services.colors.request(
        key.tenant.id, image_id, n_colors=n_colors, force=force
    )
    return mapping.color_extraction(extraction)


@router.post("/batch/extract", summary="Extract colours of several pictures", responses=errors())
@requires(KeyRole.WRITE)
async def extract_colors_of_many(
    body: schemas.BatchExtractRequest, key: CurrentKey, services: CurrentServices
) -> schemas.BatchExtractResponse:
    """Ids that do not exist are passed over."""
    queued = await services.colors.request_many(
        key.tenant.id, body.image_ids, n_colors=body.n_colors, force=body.force
    )
    return schemas.BatchExtractResponse(
        queued_count=queued, message=f"{queued} of {len(set(body.image_ids))} pictures queued."
    )


@router.post("/search", summary="Find pictures by a colour", responses=errors())
@requires(KeyRole.READ)
async def search_colors(
    request: Request, body: schemas.ColorSearchRequest, key: CurrentKey, services: CurrentServices
) -> schemas.ColorSearchResponse:
    """The best first: the nearest colour, and among equals the larger area.

    Distances are CIEDE2000. By name or family alone, every match is a full one.
    """
    query = mapping.color_query(body)
    after = from_cursor(body.cursor, "colors", float, float, int)
    matches, total, last = await services.colors.search(
        key.tenant.id, query, PageRequest(body.limit, body.offset, after)
    )
    images, palettes = await services.colors.load(key.tenant.id, matches)
    url_of = await urls(request, services, images.values())
    return schemas.ColorSearchResponse(
        results=[
            mapping.search_result(match, images[match.image_id], palettes, url_of)
            for match in matches
            if match.image_id in images
        ],
        total_count=total,
        limit=body.limit,
        offset=body.offset,
        next_cursor=None if last is None else to_cursor("colors", last),
    )


@router.get("/families", summary="Families of colours", responses=errors())
@requires(KeyRole.READ)
async def list_color_families(key: CurrentKey) -> list[schemas.ColorFamily]:
    """Every colour is in exactly one."""
    del key
    return [mapping.color_family(info) for info in FAMILIES]
