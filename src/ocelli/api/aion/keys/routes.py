"""Routes of ``/api-keys``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Path, Query, Request, Response

from ocelli.api.aion.common import errors, resource_router
from ocelli.api.aion.keys import mapping, schemas
from ocelli.api.auth import CurrentKey, CurrentServices, client_address
from ocelli.api.cursors import Cursor, from_cursor, to_cursor
from ocelli.api.policy import requires
from ocelli.domain.paging import PageRequest
from ocelli.domain.scopes import KeyRole

router = resource_router("/api-keys", tag="keys")

KeyId = Annotated[UUID, Path(description="The id, not the key.")]


@router.post("", summary="Make a key", status_code=201, responses=errors(400))
@requires(KeyRole.ADMIN, "api_keys:write")
async def create_key(
    request: Request,
    body: schemas.NewKey,
    response: Response,
    key: CurrentKey,
    services: CurrentServices,
) -> schemas.CreatedKey:
    """It may do what its scopes say, and never more than the key that asks for it."""
    made, secret = await services.keys.create(key, mapping.draft(body), client_address(request))
    response.headers["Cache-Control"] = "no-store"
    return mapping.created_key(made, secret)


@router.get("", summary="List keys", responses=errors())
@requires(KeyRole.READ, "api_keys:read")
async def list_keys(
    key: CurrentKey,
    services: CurrentServices,
    include_inactive: Annotated[
        bool, Query(description="Deactivated and expired ones, too.")
    ] = False,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
    cursor: Cursor = None,
) -> schemas.KeyList:
    """Of this tenant, newest first."""
    after = from_cursor(cursor, "keys", datetime, UUID)
    keys, total, more = await services.keys.page(
        key.tenant.id, inactive=include_inactive, page=PageRequest(limit, offset, after)
    )
    return schemas.KeyList(
        api_keys=[mapping.key(each) for each in keys],
        total=total,
        next_cursor=to_cursor("keys", (keys[-1].created_at, keys[-1].id)) if more else None,
    )


@router.get("/{key_id}", summary="One key", responses=errors(404))
@requires(KeyRole.READ, "api_keys:read")
async def get_key(key_id: KeyId, key: CurrentKey, services: CurrentServices) -> schemas.Key:
    """Active or not."""
    return mapping.key(await services.keys.get(key.tenant.id, key_id))


@router.put("/{key_id}", summary="Change a key", responses=errors(400, 404))
@requires(KeyRole.ADMIN, "api_keys:write")
async def update_key(
    key_id: KeyId, body: schemas.KeyChange, key: CurrentKey, services: CurrentServices
) -> schemas.Key:
    """Name, description and metadata; an empty description removes it."""
    changed = await services.keys.change(
        key.tenant.id,
        key_id,
        name=body.name,
        description=body.description,
        metadata=body.metadata,
    )
    return mapping.key(changed)


@router.delete("/{key_id}", summary="Deactivate a key", status_code=204, responses=errors(404))
@requires(KeyRole.ADMIN, "api_keys:delete")
async def delete_key(
    request: Request,
    key_id: KeyId,
    key: CurrentKey,
    services: CurrentServices,
    reason: Annotated[
        str | None, Query(max_length=500, pattern=r"^[^\x00]*$", description="Kept in `metadata`.")
    ] = None,
) -> None:
    """It ends within two seconds and stays in lists of inactive ones; again changes nothing."""
    await services.keys.deactivate(key, key_id, reason, client_address(request))
