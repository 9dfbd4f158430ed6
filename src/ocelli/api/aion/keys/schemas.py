"""Bodies of ``/api-keys``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ocelli.api.cursors import NEXT


def _text(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not hold a NUL character")
    return value


Name = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_text)]
Description = Annotated[str, Field(max_length=500), AfterValidator(_text)]
Metadata = Annotated[
    dict[str, Any],
    Field(
        description="Anything of your own, at most 16 KB of JSON. Reserved names: "
        "`created_by_user_id`, `deactivation_reason`, `deactivated_at`."
    ),
]
_EXAMPLE: dict[str, Any] = {
    "id": "0f6e3b52-6c1f-4a55-9c3e-1d1f5a0f7c11",
    "name": "nightly import",
    "description": "Uploads from the scanner",
    "key_prefix": "aion_Zk3vQ1x",
    "created_at": "2026-05-04T09:30:00Z",
    "expires_at": None,
    "is_active": True,
    "scopes": ["write"],
    "metadata": {"team": "archive"},
}


class NewKey(BaseModel):
    """A key to be made."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"name": "nightly import", "scopes": ["write"], "metadata": {"team": "archive"}}
            ]
        }
    )

    name: Name
    description: Description | None = None
    scopes: list[str] = Field(
        default_factory=list,
        max_length=50,
        description="`read`, `write`, `admin`, or `{resource}:{permission}` (resources api_keys, "
        "usage, tenants, cloud_storage; permissions read, write, delete, share). "
        "None: the same as the key that asks.",
    )
    metadata: Metadata = Field(default_factory=dict)
    expires_at: datetime | None = Field(
        None, description="In the future; without a zone it is UTC. Default: never."
    )


class KeyChange(BaseModel):
    """What can be changed; fields left out stay. Scopes and expiry cannot: make another key."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"metadata": {"team": "print"}}]}
    )

    name: Name | None = None
    description: Description | None = None
    metadata: Metadata | None = Field(None, description="Merged into what is there.")


class Key(BaseModel):
    """A key, without the key itself."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {**_EXAMPLE, "last_used_at": "2026-05-04T10:00:00Z", "usage_count": 12_345}
            ]
        }
    )

    id: UUID
    name: str
    description: str | None
    key_prefix: str = Field(description="The first characters, to recognise it by.")
    created_at: datetime
    last_used_at: datetime | None = Field(description="Some ten seconds behind.")
    expires_at: datetime | None
    is_active: bool = Field(description="Neither deactivated nor expired.")
    scopes: list[str]
    metadata: dict[str, Any]
    usage_count: int = Field(description="Requests so far; some ten seconds behind.")


class CreatedKey(BaseModel):
    """The new key. Its `api_key` is shown this once and cannot be had again."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {**_EXAMPLE, "api_key": "aion_Zk3vQ1xEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXA"}
            ]
        }
    )

    id: UUID
    name: str
    description: str | None
    key_prefix: str
    created_at: datetime
    expires_at: datetime | None
    is_active: bool
    scopes: list[str]
    metadata: dict[str, Any]
    api_key: str


class KeyList(BaseModel):
    """A page of keys, newest first."""

    api_keys: list[Key]
    total: int = Field(description="How many there are on all pages.")
    next_cursor: str | None = Field(description=NEXT)
