"""The one shape of errors of Ollama: ``{"error": "a sentence"}``."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from ocelli.domain import errors as ours
from ocelli.domain.chat_errors import (
    ChatError,
    InvalidBase64Image,
    InvalidSchema,
    UnsupportedParameter,
)

if TYPE_CHECKING:
    from fastapi import Request
    from fastapi.exceptions import RequestValidationError


class OllamaError(BaseModel):
    """What went wrong."""

    error: str = Field(description="For a person.")


def render(request: Request, error: ours.OcelliError) -> JSONResponse:
    """Return the answer for an error of Ocelli."""
    del request
    status = 400 if isinstance(error, ours.ValidationFailed) else error.status
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return _answer(status, said(error), headers)


def render_validation(request: Request, error: RequestValidationError) -> JSONResponse:
    """Return the answer for a parameter that FastAPI rejected."""
    del request
    first: dict[str, Any] = next(iter(error.errors()), {"loc": ("", "body"), "msg": "invalid"})
    param = ".".join(str(part) for part in first["loc"][1:])
    return _answer(400, f"{param}: {first['msg']}")


def render_status(
    request: Request, status: int, message: str | None = None, headers: dict[str, str] | None = None
) -> JSONResponse:
    """Return the answer for an error that has a status only, such as FastAPI's 404 and 405."""
    del request
    return _answer(status, message or HTTPStatus(status).phrase, headers)


def line(error: ChatError) -> bytes:
    """The last line of a stream that breaks off."""
    return json.dumps({"error": said(error)}, ensure_ascii=False).encode() + b"\n"


def said(error: ours.OcelliError) -> str:
    """The sentence; it names the place where that is known."""
    if isinstance(error, InvalidBase64Image):
        return f"illegal base64 data: {error.param}"
    if isinstance(error, InvalidSchema | UnsupportedParameter):
        return error.message.replace("response_format", "format")
    param = error.param if isinstance(error, ChatError) else None
    return f"{param}: {error.message}" if param and param not in error.message else error.message


def _answer(status: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": message}, status, headers)
