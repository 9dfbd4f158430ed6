"""The errors of the chat surface.

``{"error": {"message", "type", "param", "code"}}`` as OpenAI's clients read it, and the flat fields
of other vendors beside it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from ocelli.api import openai_errors
from ocelli.api.openai_errors import ChatErrorBody
from ocelli.domain import errors as ours
from ocelli.domain.chat_errors import ChatError

if TYPE_CHECKING:
    from fastapi import Request
    from fastapi.exceptions import RequestValidationError


class ChatErrorEnvelope(BaseModel):
    """Every error of these routes."""

    error: ChatErrorBody
    message: str = Field(description="The same as in `error`, for clients of flat errors.")
    statusCode: int  # noqa: N815
    requestId: str = Field(description="Also in the header `X-Request-ID`.")  # noqa: N815
    path: str
    timestamp: datetime


def render(request: Request, error: ours.OcelliError) -> JSONResponse:
    """Return the answer for an error of Ocelli."""
    return _answer(request, *openai_errors.described(error))


def render_validation(request: Request, error: RequestValidationError) -> JSONResponse:
    """Return the answer for a parameter that FastAPI rejected."""
    return _answer(request, 400, openai_errors.of_validation(error))


def render_status(
    request: Request, status: int, message: str | None = None, headers: dict[str, str] | None = None
) -> JSONResponse:
    """Return the answer for an error that has a status only, such as FastAPI's 404 and 405."""
    return _answer(request, status, openai_errors.of_status(status, message), headers)


def stream_body(error: ChatError) -> dict[str, Any]:
    """Return the event of an error after the first byte of a stream."""
    return {"error": openai_errors.of_chat(error).model_dump()}


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
