"""The request log: the requests of a tenant's keys, one by one, for a while."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

OPERATIONS = {
    "describe": "describe",
    "caption": "describe",
    "verify": "verify",
    "upload": "upload",
    "uploads": "upload",
    "chat": "chat",
    "generate": "chat",
    "responses": "chat",
}


def operation_of(route: str) -> str:
    """Return what a route does: describe, verify, upload, chat, else the name of its resource.

    ``/api/v2/folders/{folder_id}`` is of the resource ``folders``.
    """
    words = route.removeprefix("/api/v2").strip("/").split("/")
    known = (OPERATIONS[word] for word in words if word in OPERATIONS)
    names = (word for word in words if word not in ("api", "v1", "vision"))
    return next(known, next(names, "other"))


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A request and its answer. ``route`` is the template: no ids; ``code`` is that of an error."""

    tenant_id: UUID
    key_id: UUID
    at: datetime
    method: str
    route: str
    status: int
    milliseconds: int
    code: str | None = None

    @property
    def operation(self) -> str:
        """What it was for; see ``operation_of``."""
        return operation_of(self.route)


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """A request of the log, with its id."""

    id: int
    request: LoggedRequest


@dataclass(frozen=True, slots=True)
class RequestQuery:
    """Filters, all of which must hold; ``since`` is inclusive, ``before`` is not."""

    since: datetime | None = None
    before: datetime | None = None
    key_id: UUID | None = None
    operation: str | None = None


@dataclass(frozen=True, slots=True)
class RouteUse:
    """How often a route was asked, how many of the answers were errors, and the mean time."""

    method: str
    route: str
    requests: int
    errors: int
    milliseconds: float
