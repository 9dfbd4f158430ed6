"""Routes of ``/erasures``."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Request

from ocelli.api.aion.common import errors, resource_router
from ocelli.api.aion.erasures import mapping, schemas
from ocelli.api.auth import CurrentKey, CurrentServices, client_address
from ocelli.api.policy import requires
from ocelli.domain.scopes import KeyRole

router = resource_router("/erasures", tag="erasures")


@router.post("", summary="Erase pictures for good", responses=errors(404))
@requires(KeyRole.ADMIN, per_minute=60)
async def erase_pictures(
    request: Request, body: schemas.ErasureRequest, key: CurrentKey, services: CurrentServices
) -> schemas.ErasureOut:
    """They cannot be brought back: files, smaller copies, descriptions, edits, vectors, and what
    else names them, such as answers in conversations, webhooks that are kept, exports, and
    remembered answers. The answer is the receipt. What was accepted and is not looked at yet is
    given up, and not charged.

    404 names an id that is no picture of the tenant; then none is erased.
    """
    ids = [str(id) for id in body.image_ids]
    return mapping.erasure(
        await services.erasures.erase_pictures(key, ids, client_address(request))
    )


@router.get("", summary="List receipts", responses=errors())
@requires(KeyRole.ADMIN)
async def list_erasures(
    key: CurrentKey,
    services: CurrentServices,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    offset: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
) -> schemas.ErasureList:
    """What was erased on request and by retention, the newest first. They are kept for good."""
    found, total = await services.erasures.page(key.tenant.id, limit=limit, offset=offset)
    return schemas.ErasureList(
        erasures=[mapping.erasure(each) for each in found],
        total_count=total,
        has_more=offset + len(found) < total,
    )


@router.get("/{erasure_id}", summary="One receipt", responses=errors(404))
@requires(KeyRole.ADMIN)
async def get_erasure(
    erasure_id: Annotated[str, Path(max_length=36, description="The id.")],
    key: CurrentKey,
    services: CurrentServices,
) -> schemas.ErasureOut:
    """As in the list."""
    return mapping.erasure(await services.erasures.get(key.tenant.id, erasure_id))
