"""The one shape of errors of the Responses: ``{"error": {"message", "type", "param", "code"}}``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.responses import JSONResponse
from pydantic import BaseModel

from ocelli.api import openai_errors
from ocelli.api.openai_errors import ChatErrorBody
from ocelli.domain import errors as ours

if TYPE_CHECKING:
    from fastapi import Request
    from fastapi.exceptions import RequestValidationError

_FORM = "response_format"  # as chat completions call it
_OURS = "text.format"


class ResponseErrorEnvelope(BaseModel):
    """Every error of these routes."""

    error: ChatErrorBody


def render(request: Request, error: ours.OcelliError) -> JSONResponse:
    """Return the answer for an error of Ocelli."""
    del request
    status, body, headers = described(error)
    return _answer(status, body, headers)


def render_validation(request: Request, error: RequestValidationError) -> JSONResponse:
    """Return the answer for a parameter that FastAPI rejected."""
    del request
    return _answer(400, openai_errors.of_validation(error))


def render_status(
    request: Request, status: int, message: str | None = None, headers: dict[str, str] | None = None
) -> JSONResponse:
    """Return the answer for an error that has a status only, such as FastAPI's 404 and 405."""
    del request
    return _answer(status, openai_errors.of_status(status, message), headers)


def described(error: ours.OcelliError) -> tuple[int, ChatErrorBody, dict[str, str]]:
    """Status, body and headers; what chat completions call otherwise has its name of here."""
    status, body, headers = openai_errors.described(error)
    if body.param == _FORM or _FORM in body.message:
        param = _OURS if body.param == _FORM else body.param
        message = body.message.replace(_FORM, _OURS)
        body = body.model_copy(update={"message": message, "param": param})
    return status, body, headers


def _answer(
    status: int, body: ChatErrorBody, headers: dict[str, str] | None = None
) -> JSONResponse:
    return JSONResponse({"error": body.model_dump()}, status, headers)
