"""From the domain to the bodies of ``/tenant/members``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ocelli.api.aion.members import schemas

if TYPE_CHECKING:
    from ocelli.domain.members import Invited, Member


def member(each: Member) -> schemas.MemberOut:
    """Return the body of a member."""
    return schemas.MemberOut(**_fields(each))


def invited(done: Invited) -> schemas.InvitedMember:
    """Return the body of a new member."""
    return schemas.InvitedMember(**_fields(done.member), api_key=done.api_key)


def _fields(each: Member) -> dict[str, Any]:
    return {
        "id": str(each.id),
        "email": each.email,
        "name": each.name,
        "role": each.role,
        "joined_at": each.joined_at,
        "last_active_at": each.last_active_at,
    }
