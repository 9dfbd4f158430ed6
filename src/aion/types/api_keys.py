"""Keys of the account."""

from dataclasses import field
from datetime import datetime
from typing import Any

from aion.types._model import Model, record


@record
class ApiKey(Model):
    """A key, without the key itself; ``key_prefix`` is what it begins with."""

    id: str
    name: str = ""
    description: str | None = None
    key_prefix: str = ""
    scopes: list[str] = field(default_factory=list)
    is_active: bool = True
    usage_count: int = 0
    created_at: datetime | None = None
    last_used_at: datetime | None = None
    expires_at: datetime | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@record
class CreatedApiKey(Model):
    """A new key. ``api_key`` is the key itself: it is shown this once."""

    id: str
    api_key: str
    name: str = ""
    description: str | None = None
    key_prefix: str = ""
    scopes: list[str] = field(default_factory=list)
    is_active: bool = True
    created_at: datetime | None = None
    expires_at: datetime | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"CreatedApiKey(id={self.id!r}, key_prefix={self.key_prefix!r}, name={self.name!r})"


@record
class ApiKeyList(Model):
    """One page of keys, newest first."""

    api_keys: list[ApiKey] = field(default_factory=list)
    total: int = 0
    next_cursor: str | None = None
