"""Routes of ``/tenant/members``."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Request, Response

from ocelli.api.aion.common import errors, resource_router
from ocelli.api.aion.members import mapping, schemas
from ocelli.api.auth import CurrentKey, CurrentServices, client_address
from ocelli.api.policy import requires
from ocelli.domain.members import MemberRole
from ocelli.domain.scopes import KeyRole

router = resource_router("/tenant/members", tag="members")

UserId = Annotated[str, Path(max_length=36, description="The id of a member.")]


@router.get("", summary="List members", responses=errors())
@requires(KeyRole.READ, "tenants:read")
async def list_members(key: CurrentKey, services: CurrentServices) -> list[schemas.MemberOut]:
    """The owner first, then in the order in which they joined."""
    return [mapping.member(each) for each in await services.members.all(key.tenant.id)]


@router.post("/invite", summary="Invite a member", responses=errors(409))
@requires(KeyRole.ADMIN, "tenants:write", per_minute=5)
async def invite_member(
    request: Request,
    body: schemas.Invitation,
    response: Response,
    key: CurrentKey,
    services: CurrentServices,
) -> schemas.InvitedMember:
    """There is no mail and no sign-in: `api_key` is what the member uses; give it to them.

    422 for an address that is a member's already, 403 for a role above that of the key that asks.
    """
    done = await services.members.invite(
        key, body.email, MemberRole(body.role), client_address(request)
    )
    response.headers["Cache-Control"] = "no-store"
    return mapping.invited(done)


@router.patch("/{user_id}/role", summary="Change a role", responses=errors(404))
@requires(KeyRole.ADMIN, "tenants:write", per_minute=10)
async def update_member_role(
    request: Request,
    user_id: UserId,
    body: schemas.RoleChange,
    key: CurrentKey,
    services: CurrentServices,
) -> schemas.MemberOut:
    """The member's keys follow within two seconds. 403 for the owner."""
    changed = await services.members.change_role(
        key, user_id, MemberRole(body.role), client_address(request)
    )
    return mapping.member(changed)


@router.delete("/{user_id}", summary="Remove a member", responses=errors(404))
@requires(KeyRole.ADMIN, "tenants:delete", per_minute=5)
async def remove_member(
    request: Request, user_id: UserId, key: CurrentKey, services: CurrentServices
) -> schemas.Removed:
    """The member's keys, and those that they made, end within two seconds.

    403 for the owner and for oneself.
    """
    removed = await services.members.remove(key, user_id, client_address(request))
    return schemas.Removed(detail=f"{removed.email} was removed.")
