"""Errors of PhotoPrism's vision service: ``{"id", "code", "error", "model": {}}``.

Its older clients look at the body alone, newer ones at the status too.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from ocelli.domain import errors as ours

if TYPE_CHECKING:
    from fastapi import Request
    from fastapi.exceptions import RequestValidationError


class VisionError(BaseModel):
    """What went wrong."""

    id: str = Field("", description="That of the request, where it could be read.")
    code: int = Field(description="The HTTP status.", examples=[400])
    error: str = Field(description="For a person.")
    model: dict[str, Any] = Field({}, description="Empty: no model answered.")


def render(request: Request, error: ours.OcelliError) -> JSONResponse:
    """Return the answer for an error of Ocelli."""
    headers = {}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    status = 400 if isinstance(error, ours.ValidationFailed) else error.status
    return _answer(request, status, error.message, headers)


def render_validation(request: Request, error: RequestValidationError) -> JSONResponse:
    """Return the answer for a parameter that FastAPI rejected."""
    first: dict[str, Any] = next(iter(error.errors()), {"loc": ("", "body"), "msg": "invalid"})
    field = ".".join(str(part) for part in first["loc"][1:])
    return _answer(request, 400, f"{field}: {first['msg']}")


def render_status(
    request: Request, status: int, message: str | None = None, headers: dict[str, str] | None = None
) -> JSONResponse:
    """Return the answer for an error that has a status only, such as FastAPI's 404 and 405."""
    return _answer(request, status, message or HTTPStatus(status).phrase, headers)


def _answer(
    request: Request, status: int, message: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    id = getattr(request.state, "vision_id", "")
    return JSONResponse(
        VisionError(id=id, code=status, error=message).model_dump(), status, headers
    )
