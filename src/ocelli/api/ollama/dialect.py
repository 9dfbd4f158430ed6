"""Ollama's API below ``/api/ollama``, and at the root where the settings say so."""

from __future__ import annotations

from ocelli.api.dialects import Dialect
from ocelli.api.ollama import errors, paths
from ocelli.api.ollama.routes import document, router

DIALECT = Dialect(
    prefixes=(paths.PREFIX,),
    router=router,
    errors=errors,
    add_headers=paths.CORS.add_headers,
    preflight=paths.CORS.preflight,
    document=document,
    alias=paths.alias,
)
