"""Routes of ``/api/fetch``, ``/api/response`` and ``/api/credits``.

They read their parameters themselves: after the key has been checked, because clients try a key by
sending nothing, and from any body, because clients name none or another type of it.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response

from ocelli.api.auth import CurrentKey, CurrentServices
from ocelli.api.documented import error_responses
from ocelli.api.fetch import schemas
from ocelli.api.fetch.errors import ErrorAnswer, QueryTooLong, UnknownRequest
from ocelli.api.fetch.parameters import order
from ocelli.api.fetch.request_body import Received, in_memory
from ocelli.api.policy import requires
from ocelli.api.services import Services
from ocelli.domain.accounts import ApiKey
from ocelli.domain.errors import NotFound
from ocelli.domain.scopes import KeyRole
from ocelli.usecases import fetch_bodies

LONGEST_QUERY = 2048

router = APIRouter(prefix="/api", tags=["fetch"])

_ERRORS = error_responses(
    ErrorAnswer,
    {
        400: "A parameter is missing or cannot be accepted.",
        401: "No key, or not a good one.",
        402: "Not enough credits.",
        403: "The key lacks the scope.",
        404: "Unknown, older than a day, or another tenant's.",
        409: "The same request is being carried out (with an Idempotency-Key).",
        413: "A file is larger than 20 MB.",
        414: "The query is longer than 2,048 characters.",
        422: "The Idempotency-Key belongs to another request.",
        429: "Too many requests.",
        503: "The database or the store does not answer right now.",
    },
)


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: _ERRORS[status] for status in (*statuses, 401, 403, 503)}


def _documented(where: str) -> dict[str, Any]:
    """Return the OpenAPI parameters that FastAPI does not know, as the route reads them."""
    schema = schemas.Parameters.model_json_schema()
    if where == "body":
        example = {"url": schemas.EXAMPLE_URLS}
        content = {"application/json": {"schema": schema, "example": example}}
        return {"requestBody": {"required": False, "content": content}}
    return {
        "parameters": [
            {
                "name": name,
                "in": "query",
                "required": False,
                "schema": {"type": "string"},
                "description": each.get("description", ""),
                **({"example": schemas.EXAMPLE_URLS[0]} if name == "url" else {}),
            }
            for name, each in schema["properties"].items()
        ]
    }


@router.post(
    "/fetch",
    summary="Ask about pictures and videos",
    response_model=schemas.Answer,
    responses=_errors(400, 402, 409, 413, 422, 429),
    openapi_extra=_documented("body"),
)
@requires(KeyRole.WRITE, stores=True)
async def fetch(request: Request, key: CurrentKey, services: CurrentServices) -> Response:
    """One picture by its address is answered at once; everything else by polling `response_uri`."""
    with Received(services.new_blob, request.query_params.multi_items()) as received:
        async with services.memory.acquire(key.tenant.id, in_memory(request)):
            await received.read(request)
        return await _answer(request, key, services, received)


@router.get(
    "/fetch",
    summary="The same, by query",
    response_model=schemas.Answer,
    responses=_errors(400, 402, 414, 429),
    openapi_extra=_documented("query"),
)
@requires(KeyRole.WRITE, stores=True)
async def fetch_by_query(request: Request, key: CurrentKey, services: CurrentServices) -> Response:
    """Parameters as of the POST; at most 2,048 characters."""
    if len(request.url.query) > LONGEST_QUERY:
        raise QueryTooLong
    with Received(services.new_blob, request.query_params.multi_items()) as received:
        return await _answer(request, key, services, received)


@router.get(
    "/response/{request_id}",
    summary="How far a request has come",
    response_model=schemas.Answer,
    responses=_errors(404),
)
@requires(KeyRole.READ, counted=False)
async def fetch_response(
    request_id: Annotated[str, Path(examples=[schemas.ID])],
    key: CurrentKey,
    services: CurrentServices,
) -> Response:
    """Poll this every second or two; results are kept for 24 hours. It is never limited."""
    try:
        body, _ = await services.fetch_jobs.body(key.tenant.id, UUID(request_id))
    except (ValueError, NotFound):
        raise UnknownRequest(request_id) from None
    return _json(body)


@router.get("/credits", summary="What is left", responses=_errors(429))
@requires(KeyRole.READ)
async def fetch_credits(key: CurrentKey, services: CurrentServices) -> schemas.Credits:
    """The balance, without what requests that are under way have reserved."""
    return schemas.Credits(credits=(await services.fetch_jobs.balance(key.tenant)).shown)


async def _answer(
    request: Request, key: ApiKey, services: Services, received: Received
) -> Response:
    fetch_order = await asyncio.to_thread(order, received, services.roster)
    accepted = await services.fetch_jobs.accept(
        key.tenant,
        fetch_order.parameters,
        fetch_order.plan,
        fetch_order.question,
        fetch_order.sources,
        waits=fetch_order.waits,
    )
    if fetch_order.waits:
        body = await services.fetch_jobs.wait(accepted, timeout=services.fetch_wait)
        if body is not None:
            return _json(body)
    uri = f"{services.base_url(request)}/api/response/{accepted.id}"
    return JSONResponse(fetch_bodies.accepted(accepted, uri))


def _json(body: str | bytes) -> Response:
    return Response(body, media_type="application/json")
