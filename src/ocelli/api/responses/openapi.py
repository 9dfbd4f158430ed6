"""The Responses in the OpenAPI document: their route reads its body itself."""

from __future__ import annotations

from typing import Any

from ocelli.api.documented import add_bodies, add_components, error_responses
from ocelli.api.responses.errors import ResponseErrorEnvelope
from ocelli.api.responses.schemas import ResponseRequest

ERRORS = error_responses(
    ResponseErrorEnvelope,
    {
        400: "Something in the request is wrong; `param` says where, `code` what.",
        401: "No key, or not a good one.",
        403: "The key lacks the scope, or the month's share is used up.",
        404: "No such model, or no such earlier answer.",
        409: "The same request is being carried out (with an Idempotency-Key).",
        413: "The body is too large.",
        422: "The Idempotency-Key belongs to another request.",
        429: "Too many requests; `Retry-After` says for how many seconds.",
        502: "A configured backend does not do its work.",
        503: "A backend, the workers or the database cannot answer now.",
    },
)
READ_ERRORS: dict[int | str, dict[str, Any]] = {
    **{status: ERRORS[status] for status in (400, 401, 403, 404, 429, 503)},
    **error_responses(ResponseErrorEnvelope, {422: "A parameter cannot be accepted."}),
}
EVENTS = {"content": {"text/event-stream": {"schema": {"type": "string"}}}}


def document(schema: dict[str, Any]) -> None:
    """Add what FastAPI does not see."""
    add_components([ResponseErrorEnvelope], schema)
    add_bodies([ResponseRequest], schema)
