"""The errors of this surface: ``{"error": "a sentence"}``; clients compare some of the
sentences.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from ocelli.api.errors import error_headers
from ocelli.domain.errors import OcelliError

if TYPE_CHECKING:
    from fastapi import Request
    from fastapi.exceptions import RequestValidationError

DENIED = "Access denied."

# On every answer, and never with credentials. A plug-in in a sandbox has the origin ``null``.
CORS = {"Access-Control-Allow-Origin": "*"}


class QueryTooLong(OcelliError):
    """Of a GET."""

    code = "QUERY_TOO_LONG"
    status = 414

    def __init__(self) -> None:
        super().__init__("Max request length exceeded.")


class UnknownRequest(OcelliError):
    """Never was, is older than a day, or belongs to another tenant: the answer is the same."""

    code = "NOT_FOUND"
    status = 404

    def __init__(self, id: str) -> None:
        super().__init__(f"Request ID {id[:100]} not found.")


class ErrorAnswer(BaseModel):
    """Every error of this API."""

    error: str = Field(description="For a person.", examples=["File/URL params are required."])


def render(request: Request, error: OcelliError) -> JSONResponse:
    """Return the answer for an error of Ocelli."""
    message = error.message
    if error.status == 401:
        message = DENIED
    elif error.code == "AUTHZ_ERROR":
        message = f"{DENIED} {message}"
    return render_status(request, error.status, message, error_headers(error, scheme="Token"))


def render_validation(request: Request, error: RequestValidationError) -> JSONResponse:
    """Return the answer for a parameter that FastAPI rejected: its first problem."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"][1:])
    return render_status(request, 400, f"{field or 'body'}: {first['msg']}")


def render_status(
    request: Request, status: int, message: str | None = None, headers: dict[str, str] | None = None
) -> JSONResponse:
    """Return the answer for an error that has a status only, such as FastAPI's 404 and 405."""
    del request
    body = ErrorAnswer(error=message or HTTPStatus(status).phrase)
    return JSONResponse(body.model_dump(), status, {**CORS, **(headers or {})})
