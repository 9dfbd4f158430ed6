"""OpenAI's Responses, with ``/v1`` before them or without."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.api import openai_headers
from ocelli.api.dialects import Dialect
from ocelli.api.responses import errors
from ocelli.api.responses.openapi import document
from ocelli.api.responses.routes import router

if TYPE_CHECKING:
    from starlette.types import Scope

    from ocelli.api.services import Services


def _alias(services: Services, scope: Scope) -> str | None:
    """Clients whose base is the server's address leave ``/v1`` out."""
    del services
    path: str = scope["path"]
    return f"/v1{path}" if path == "/responses" or path.startswith("/responses/") else None


DIALECT = Dialect(
    prefixes=("/v1/responses", "/responses"),
    router=router,
    errors=errors,
    add_headers=openai_headers.add_headers,
    preflight=openai_headers.CORS.preflight,
    document=document,
    alias=_alias,
)
