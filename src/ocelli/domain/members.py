"""The people of a tenant: an owner, and members who were invited.

There is no sign-in of people: a member has a key, and may do what its role says. Keys that belong
to no member are the owner's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ocelli.domain.errors import ValidationFailed
from ocelli.domain.scopes import KeyRole

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

MAX_MEMBERS = 1_000  # of a tenant: they are listed in one answer
MAX_EMAIL = 254
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(?:\.[^@\s.]+)+")


class MemberRole(StrEnum):
    """What a person may do."""

    OWNER = "owner"
    ADMIN = "admin"
    EDITOR = "editor"
    VIEWER = "viewer"


SCOPES: dict[MemberRole, tuple[str, ...]] = {
    MemberRole.ADMIN: (KeyRole.ADMIN.value,),
    MemberRole.EDITOR: (KeyRole.WRITE.value,),
    MemberRole.VIEWER: (KeyRole.READ.value,),
}


@dataclass(frozen=True, slots=True)
class Member:
    """A person of a tenant; the owner has the tenant's id, and no address that is known."""

    id: UUID
    email: str
    name: str
    role: MemberRole
    joined_at: datetime
    last_active_at: datetime | None


@dataclass(frozen=True, slots=True)
class Invited:
    """A new member, and the secret of their key, which is not stored."""

    member: Member
    api_key: str


def email_address(text: str) -> str:
    """Return an address as it is stored. Raises ValidationFailed for what cannot be one.

    >>> email_address(" Ada@Example.com ")
    'Ada@Example.com'
    """
    address = text.strip()
    if len(address) > MAX_EMAIL or not address.isprintable() or not _EMAIL.fullmatch(address):
        raise ValidationFailed("This is not an e-mail address.", field="email")
    return address
