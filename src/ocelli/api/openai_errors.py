"""Errors in the vocabulary that OpenAI's clients branch on.

LiteLLM classifies by words, so that "rate limit" stands only in 429s, 401s say "Incorrect API key
provided", and 404s of models carry ``model_not_found``.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from ocelli.api.errors import error_headers
from ocelli.domain import errors as ours
from ocelli.domain.chat_errors import ChatError

if TYPE_CHECKING:
    from fastapi.exceptions import RequestValidationError


class ChatErrorBody(BaseModel):
    """What went wrong."""

    message: str
    type: str = Field(description="The coarser of the two vocabularies.")
    param: str | None = Field(description="Path of what is wrong in the request.")
    code: str | None = Field(description="The finer one, to branch on.")


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


def described(error: ours.OcelliError) -> tuple[int, ChatErrorBody, dict[str, str]]:
    """Status, body and headers for an error of ours."""
    headers = _headers(error)
    if isinstance(error, ChatError):
        return error.status, of_chat(error), headers
    status, type, code = next(
        (known[1:] for known in _KNOWN if isinstance(error, known[0])),
        (error.status, _type(error.status), error.code.lower()),
    )
    message = error.message
    if status == 401:
        message = f"Incorrect API key provided. {message}"
    param = error.details.get("field")
    return status, ChatErrorBody(message=message, type=type, param=param, code=code), headers


def of_chat(error: ChatError) -> ChatErrorBody:
    """The body for an error of a conversation."""
    return ChatErrorBody(message=error.message, type=error.type, param=error.param, code=error.code)


def of_validation(error: RequestValidationError) -> ChatErrorBody:
    """The body for a parameter that FastAPI refused; its status is 400."""
    first: dict[str, Any] = next(iter(error.errors()), {"loc": ("", "body"), "msg": "invalid"})
    param = ".".join(str(part) for part in first["loc"][1:])
    return ChatErrorBody(
        message=f"{param}: {first['msg']}", type=_INVALID, param=param, code="invalid_value"
    )


def of_status(status: int, message: str | None) -> ChatErrorBody:
    """The body for an error that only has a status."""
    code = {404: "not_found", 405: "method_not_allowed"}.get(status)
    return ChatErrorBody(
        message=message or HTTPStatus(status).phrase, type=_type(status), param=None, code=code
    )


def _headers(error: ours.OcelliError) -> dict[str, str]:
    headers = error_headers(error)
    if (error.status >= 500 or error.status == 429) and not error.retryable:
        headers["X-Should-Retry"] = "false"  # OpenAI's clients would repeat it twice
    return headers


def _type(status: int) -> str:
    return "server_error" if status >= 500 else _INVALID
