"""Routes of ``/chat/images``."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request

from ocelli.api.aion.chats import mapping, schemas
from ocelli.api.aion.common import errors, resource_router
from ocelli.api.aion.files.routes import urls
from ocelli.api.auth import CurrentKey, CurrentServices
from ocelli.api.policy import requires
from ocelli.domain.paging import PageRequest
from ocelli.domain.scopes import KeyRole

router = resource_router("/chat/images", tag="chat")


@router.post("/search", summary="Search pictures in words, page by page", responses=errors())
@requires(KeyRole.READ)
async def search_library(
    request: Request, body: schemas.LibrarySearchRequest, key: CurrentKey, services: CurrentServices
) -> schemas.SearchResults:
    """The search of `/agents/search/images`, with pages."""
    found = await services.library_search.search(
        key.tenant.id, body.query, limit=body.limit, offset=body.offset
    )
    url_of = await urls(request, services, [each.image for each in found.hits])
    return mapping.search_results(found, body.query, url_of)


@router.get("/all", summary="List the ids of all pictures", responses=errors())
@requires(KeyRole.READ)
async def list_image_ids(
    key: CurrentKey,
    services: CurrentServices,
    limit: Annotated[int, Query(ge=1, le=5_000)] = 5_000,
    offset: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
) -> schemas.ImageIds:
    """The newest first."""
    page = PageRequest(limit, offset)
    ids, total = await services.files.ids(key.tenant.id, page)
    return schemas.ImageIds(
        image_ids=[str(id) for id in ids], total_count=total, has_more=offset + len(ids) < total
    )
