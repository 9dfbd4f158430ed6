"""Routes of ``/agents``."""

from __future__ import annotations

import time

from fastapi import Request

from ocelli.api.aion.agents import mapping, schemas
from ocelli.api.aion.common import errors, resource_router
from ocelli.api.aion.files.routes import urls
from ocelli.api.auth import CurrentKey, CurrentServices
from ocelli.api.policy import requires
from ocelli.domain.scopes import KeyRole

router = resource_router("/agents", tag="agents")


@router.post("/search/images", summary="Search pictures in words", responses=errors())
@requires(KeyRole.READ)
async def search_images(
    request: Request, body: schemas.ImageSearch, key: CurrentKey, services: CurrentServices
) -> schemas.ImageSearchAnswer:
    """By the words of a description, and by what they mean: "a puppy" finds "a small dog".

    Where meaning cannot be searched, `search_strategy` says so, and words are.
    """
    started = time.perf_counter()
    found = await services.library_search.search(
        key.tenant.id, body.query, mapping.filters(body), limit=body.limit
    )
    url_of = await urls(request, services, [each.image for each in found.hits])
    milliseconds = round((time.perf_counter() - started) * 1000)
    return mapping.image_search(found, body.query, url_of, milliseconds)
