"""Chat completions, models and moderations, with ``/v1`` before them or without."""

from __future__ import annotations

from ocelli.api import openai_headers
from ocelli.api.chat import errors
from ocelli.api.chat.routes import PLAIN, document, router
from ocelli.api.dialects import Dialect

DIALECT = Dialect(
    prefixes=("/chat/", "/models", "/moderations", "/v1/", "/v2/"),
    router=router,
    errors=errors,
    plain_routes=PLAIN,
    add_headers=openai_headers.add_headers,
    preflight=openai_headers.CORS.preflight,
    document=document,
)
