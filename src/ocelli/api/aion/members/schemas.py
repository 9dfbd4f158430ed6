"""Bodies of ``/tenant/members``, field by field as clients know them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ocelli.domain.members import MAX_EMAIL, MemberRole


class Invitation(BaseModel):
    """A person who may use this tenant."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"email": "colleague@example.com", "role": "editor"}]}
    )

    email: str = Field(min_length=3, max_length=MAX_EMAIL)
    role: Literal["viewer", "editor", "admin"] = Field(
        "viewer", description="`viewer` reads, `editor` writes too, `admin` may do everything."
    )


class RoleChange(BaseModel):
    """Another role."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "admin"}]})

    role: Literal["viewer", "editor", "admin"]


class MemberOut(BaseModel):
    """A person of a tenant. The owner stands for all keys that belong to no member."""

    id: str
    email: str
    name: str
    role: MemberRole
    joined_at: datetime | None
    last_active_at: datetime | None = Field(description="Some ten seconds behind.")


class InvitedMember(MemberOut):
    """The new member, with a key for them."""

    api_key: str = Field(description="Give it to them: it is shown this once.")


class Removed(BaseModel):
    """What was done."""

    detail: str
