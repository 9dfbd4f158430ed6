"""The errors of the chat surface.

``{"error": {"message", "type", "param", "code"}}`` as OpenAI's clients read it, and the flat fields
of other vendors beside it. LiteLLM classifies by words, so that "rate limit" stands only in 429s,
401s say "Incorrect API key provided", and 404s of models carry ``model_not_found``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from ocelli.api.errors import error_headers
from ocelli.domain import errors as ours
from ocelli.domain.chat_errors import ChatError

if TYPE_CHECKING:
    from fastapi import Request
    from fastapi.exceptions import RequestValidationError


class ChatErrorBody(BaseModel):
    """What went wrong."""

    message: str
    type: str = Field(description="The coarser of the two vocabularies.")
    param: str | None = Field(description="Path of what is wrong in the request.")
    code: str | None = Field(description="The finer one, to branch on.")


class ChatErrorEnvelope(BaseModel):
    """Every error of these routes."""

    error: ChatErrorBody
    message: str = Field(description="The same as in `error`, for clients of flat errors.")
    statusCode: int  # noqa: N815
    requestId: str = Field(description="Also in the header `X-Request-ID`.")  # noqa: N815
    path: str
    timestamp: datetime


_INVALID = "invalid_request_error"

# (error, status, type, code); the first that fits.
_KNOWN: tuple[tuple[type[ours.OcelliError], int, str, str], ...] = (
    (ours.InvalidKey, 401, "authentication_error", "invalid_api_key"),
    (ours.ExpiredKey, 401, "authentication_error", "invalid_api_key"),
    (ours.DeactivatedKey, 401, "authentication_error", "invalid_api_key"),
    (ours.NotAllowed, 403, "permission_error", "insufficient_permissions"),
    (ours.UsageLimitExceeded, 403, "insufficient_quota", "insufficient_quota"),
    (ours.RateLimited, 429, "rate_limit_error", "rate_limit_exceeded"),
    (ours.Unavailable, 503, "server_error", "overloaded"),
    (ours.TooLarge, 413, _INVALID, "request_too_large"),
    (ours.NotFound, 404, _INVALID, "not_found"),
    (ours.Conflict, 409, _INVALID, "conflict"),
    (ours.ValidationFailed, 400, _INVALID, "invalid_value"),
)


def render(request: Request, error: ours.OcelliError) -> JSONResponse:
    """Return the answer for an error of Ocelli."""
    headers = _headers(error)
    if isinstance(error, ChatError):
        body = ChatErrorBody(
            message=error.message, type=error.type, param=error.param, code=error.code
        )
        return _answer(request, error.status, body, headers)
    status, type, code = next(
        (known[1:] for known in _KNOWN if isinstance(error, known[0])),
        (error.status, _type(error.status), error.code.lower()),
    )
    message = error.message
    if status == 401:
        message = f"Incorrect API key provided. {message}"
    param = error.details.get("field")
    return _answer(
        request, status, ChatErrorBody(message=message, type=type, param=param, code=code), headers
    )


def render_validation(request: Request, error: RequestValidationError) -> JSONResponse:
    """Return the answer for a parameter that FastAPI rejected."""
    first = next(iter(error.errors()), {"loc": ("", "body"), "msg": "invalid"})
    param = ".".join(str(part) for part in first["loc"][1:])
    body = ChatErrorBody(
        message=f"{param}: {first['msg']}", type=_INVALID, param=param, code="invalid_value"
    )
    return _answer(request, 400, body)


def render_status(
    request: Request, status: int, message: str | None = None, headers: dict[str, str] | None = None
) -> JSONResponse:
    """Return the answer for an error that has a status only, such as FastAPI's 404 and 405."""
    code = {404: "not_found", 405: "method_not_allowed"}.get(status)
    body = ChatErrorBody(
        message=message or HTTPStatus(status).phrase, type=_type(status), param=None, code=code
    )
    return _answer(request, status, body, headers)


def stream_body(error: ChatError) -> dict[str, Any]:
    """Return the event of an error after the first byte of a stream."""
    body = ChatErrorBody(message=error.message, type=error.type, param=error.param, code=error.code)
    return {"error": body.model_dump()}


def _headers(error: ours.OcelliError) -> dict[str, str]:
    headers = error_headers(error)
    if (error.status >= 500 or error.status == 429) and not error.retryable:
        headers["X-Should-Retry"] = "false"  # OpenAI's clients would repeat it twice
    return headers


def _type(status: int) -> str:
    return "server_error" if status >= 500 else _INVALID


def _answer(
    request: Request, status: int, body: ChatErrorBody, headers: dict[str, str] | None = None
) -> JSONResponse:
    envelope = ChatErrorEnvelope(
        error=body,
        message=body.message,
        statusCode=status,
        requestId=request.state.request_id,
        path=request.url.path,
        timestamp=datetime.now(UTC),
    )
    return JSONResponse(envelope.model_dump(mode="json"), status, headers)
