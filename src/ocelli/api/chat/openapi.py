"""The chat surface in the OpenAPI document: errors, requests that run as they are, and the plain
Starlette routes, which FastAPI does not describe.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from fastapi.openapi.models import OpenAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from ocelli.api.chat import schemas
from ocelli.api.chat.errors import ChatErrorEnvelope
from ocelli.api.documented import REF, content, error_responses
from ocelli.domain.findings import LOCAL

ERRORS = error_responses(
    ChatErrorEnvelope,
    {
        400: "Something in the request is wrong; `param` says where, `code` what.",
        401: "No key, or not a good one.",
        403: "The key lacks the scope, or the month's share is used up.",
        404: "No such model.",
        409: "The same request is being carried out (with an Idempotency-Key).",
        413: "The body is too large.",
        422: "The Idempotency-Key belongs to another request.",
        429: "Too many requests; `Retry-After` says for how many seconds.",
        502: "A configured backend does not do its work.",
        503: "A backend, the workers or the database cannot answer now.",
    },
)
READ_ERRORS = {status: ERRORS[status] for status in (401, 403, 429, 503)} | error_responses(
    ChatErrorEnvelope, {422: "A parameter cannot be accepted."}
)

# A red picture of 8 × 8 pixels.
PNG = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAFUlEQVR42mM8ISfHgA0wMeAAg1MCANDKARQfGKMRAAAA"
    "AElFTkSuQmCC"
)

_PART = {"type": "image_url", "image_url": {"url": PNG}}


def _request(model: str, summary: str, value: dict[str, Any]) -> dict[str, Any]:
    examples = {"picture": {"summary": summary, "value": value}}
    return {"requestBody": {**content(model, examples=examples), "required": True}}


_CHAT = _request(
    "ChatRequest",
    "What's in this image?",
    {
        "model": LOCAL,
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": "What’s in this image?"}, _PART],
            }
        ],
        "max_tokens": 300,
    },
)
MODERATION = _request("ModerationRequest", "One picture", {"input": [_PART]})


_BODIES: list[tuple[type[BaseModel], Literal["validation", "serialization"]]] = [
    (schemas.ChatRequest, "validation"),
    (schemas.ResponseFormat, "validation"),
    (schemas.StreamOptions, "validation"),
    (schemas.ModerationRequest, "validation"),
    (schemas.ChatCompletion, "serialization"),
    (ChatErrorEnvelope, "serialization"),
]


def document(schema: dict[str, Any], paths: tuple[str, ...], name: str, description: str) -> None:
    """Add the plain route ``name`` at ``paths``, and the bodies that routes read themselves."""
    _, bodies = models_json_schema(_BODIES, ref_template=REF + "{model}")
    added = OpenAPI(  # in FastAPI's own spelling
        openapi=schema["openapi"],
        info=schema["info"],
        paths={path: {"post": _operation(path, name, description)} for path in paths},
        components={"schemas": bodies["$defs"]},
    ).model_dump(mode="json", by_alias=True, exclude_none=True)
    schema["paths"] |= added["paths"]
    schema["components"]["schemas"] |= added["components"]["schemas"]


def _operation(path: str, name: str, description: str) -> dict[str, Any]:
    answers = {str(status): each for status, each in ERRORS.items()}
    answers["200"] = {"description": "Successful Response", **content("ChatCompletion")}
    return {
        "tags": ["chat"],
        "summary": "Continue a conversation about pictures",
        "description": description,
        "operationId": re.sub(r"\W", "_", f"{name}{path}_post"),
        "security": [{"HTTPBearer": []}, {"APIKeyHeader": []}],
        "responses": answers,
        **_CHAT,
    }
