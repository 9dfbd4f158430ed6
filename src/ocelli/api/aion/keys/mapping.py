"""From the domain to the bodies of ``/api-keys``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ocelli.api.aion.keys import schemas
from ocelli.domain.accounts import KeyDraft

if TYPE_CHECKING:
    from ocelli.domain.accounts import ApiKey


def draft(body: schemas.NewKey) -> KeyDraft:
    """Return the draft of a requested key."""
    return KeyDraft(
        name=body.name,
        scopes=tuple(body.scopes),
        description=body.description,
        metadata=body.metadata,
        expires_at=body.expires_at,
    )


def key(it: ApiKey) -> schemas.Key:
    """Return a key as lists show it."""
    return schemas.Key(**_common(it), last_used_at=it.last_used_at, usage_count=it.usage_count)


def created_key(it: ApiKey, secret: str) -> schemas.CreatedKey:
    """Return a new key with its secret."""
    return schemas.CreatedKey(**_common(it), api_key=secret)


def _common(it: ApiKey) -> dict[str, Any]:
    return {
        "id": it.id,
        "name": it.name,
        "description": it.description,
        "key_prefix": it.prefix,
        "created_at": it.created_at,
        "expires_at": it.expires_at,
        "is_active": it.is_active(datetime.now(UTC)),
        "scopes": list(it.scopes),
        "metadata": dict(it.metadata),
    }
