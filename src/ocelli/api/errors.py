"""The errors of ``/api/v2``: ``{"error": {...}, "request_id": ...}``."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from ocelli.domain.errors import OcelliError

if TYPE_CHECKING:
    from fastapi import Request
    from fastapi.exceptions import RequestValidationError


class ErrorBody(BaseModel):
    """What went wrong."""

    code: str = Field(description="Upper-case code to branch on.")
    message: str = Field(description="For a person; says what to do next where that is known.")
    details: dict[str, Any] = Field(description="Depends on the code; `field` and `issue` for 422.")


class ErrorEnvelope(BaseModel):
    """Every error of this API."""

    error: ErrorBody
    request_id: str = Field(description="Also in the header `X-Request-ID`; quote it in reports.")


CODES_BY_STATUS = {
    400: "VALIDATION_ERROR",
    401: "INVALID_API_KEY",
    403: "AUTHZ_ERROR",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    409: "CONFLICT",
    422: "VALIDATION_ERROR",
    429: "RATE_LIMIT_ERROR",
}


def error_headers(error: OcelliError, *, scheme: str = "Bearer") -> dict[str, str]:
    """Return the headers of an error on all surfaces: WWW-Authenticate and Retry-After."""
    headers = {}
    if error.status == 401:
        headers["WWW-Authenticate"] = scheme
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return headers


def render(request: Request, error: OcelliError) -> JSONResponse:
    """Return the answer for an error of Ocelli."""
    return _answer(
        request, error.status, error.code, error.message, error.details, error_headers(error)
    )


def render_validation(request: Request, error: RequestValidationError) -> JSONResponse:
    """Return the answer for a parameter or body that FastAPI rejected, with all problems."""
    problems = [
        {"field": ".".join(str(part) for part in each["loc"][1:]), "issue": str(each["msg"])}
        for each in error.errors()[:20]
    ]
    first = problems[0] if problems else {"field": "body", "issue": "invalid"}
    status = 400 if any(each["type"] == "json_invalid" for each in error.errors()) else 422
    return _answer(
        request,
        status,
        "VALIDATION_ERROR",
        f"{first['field'] or 'body'}: {first['issue']}",
        {**first, "problems": problems},
    )


def render_status(
    request: Request, status: int, message: str | None = None, headers: dict[str, str] | None = None
) -> JSONResponse:
    """Return the answer for an error that has a status only, such as FastAPI's 404 and 405."""
    code = CODES_BY_STATUS.get(status, f"HTTP_{status}")
    phrase = message or HTTPStatus(status).phrase
    return _answer(request, status, code, phrase, {}, headers)


def _answer(
    request: Request,
    status: int,
    code: str,
    message: str,
    details: dict[str, Any],
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    body = ErrorEnvelope(
        error=ErrorBody(code=code, message=message, details=details),
        request_id=request.state.request_id,
    )
    return JSONResponse(body.model_dump(mode="json"), status, headers)
