"""Ollama's API in the OpenAPI document: its routes read their bodies themselves."""

from __future__ import annotations

from typing import Any

from ocelli.api.documented import add_bodies, add_components, error_responses
from ocelli.api.ollama import schemas
from ocelli.api.ollama.errors import OllamaError

ERRORS = error_responses(
    OllamaError,
    {
        400: "Something in the request is wrong.",
        401: "No key, or not a good one.",
        403: "The key lacks the scope, or the month's share is used up.",
        404: "No such model.",
        409: "The same request is being carried out (with an Idempotency-Key).",
        413: "The body is too large.",
        429: "Too many requests; `Retry-After` says for how many seconds.",
        502: "A configured backend does not do its work.",
        503: "A backend, the workers or the database cannot answer now.",
    },
)
READ_ERRORS: dict[int | str, dict[str, Any]] = {
    status: ERRORS[status] for status in (401, 403, 429, 503)
}
LINES = {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}

_BODIES = (
    schemas.Named,
    schemas.PullRequest,
    schemas.GenerateRequest,
    schemas.OllamaChatRequest,
    schemas.EmbedRequest,
)


def document(schema: dict[str, Any]) -> None:
    """Add what FastAPI does not see."""
    add_components([OllamaError], schema)
    add_bodies(_BODIES, schema)
