"""Routes of PhotoPrism's vision service. Bodies are JSON whatever their Content-Type says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from ocelli.api import json_reader
from ocelli.api.auth import CurrentKey, CurrentServices
from ocelli.api.bodies import read_body
from ocelli.api.documented import add_bodies, add_components, error_responses
from ocelli.api.documented import body as body_of
from ocelli.api.photoprism import errors, mapping, schemas
from ocelli.api.policy import requires
from ocelli.api.services import Services
from ocelli.domain.accounts import ApiKey, Tenant
from ocelli.domain.analysis import Analysis, VerificationLevel
from ocelli.domain.errors import (
    ImageProcessingFailed,
    InvalidImageUrl,
    MalformedRequest,
    NotInTime,
    OcelliError,
    TooLarge,
    ValidationFailed,
)
from ocelli.domain.questions import Question
from ocelli.domain.scopes import KeyRole
from ocelli.usecases.adhoc import Source
from ocelli.usecases.concurrency import bounded_map

PREFIX = "/api/v1/vision"
AT_ONCE = 4  # pictures of one request that are analysed at a time
_OF_ONE_PICTURE = (ValidationFailed, TooLarge, InvalidImageUrl, ImageProcessingFailed, NotInTime)

router = APIRouter(prefix=PREFIX, tags=["photoprism"])

_ERRORS = error_responses(
    errors.VisionError,
    {
        400: "The body or a picture cannot be read.",
        401: "No key, or not a good one.",
        403: "The key lacks the scope, or the month's share is used up.",
        409: "The same request is being carried out (with an Idempotency-Key).",
        413: "The body or a picture is too large.",
        422: "The Idempotency-Key belongs to another request.",
        429: "Too many requests; `Retry-After` says for how many seconds.",
        501: "Not served.",
        502: "A configured backend does not do its work, or the picture's address does not.",
        503: "A backend, the workers or the database cannot answer now.",
        504: "There is no answer yet.",
    },
)
_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: _ERRORS[status] for status in (401, 403, 409, 422, 429, 501, 503)
}
_SHARED: dict[str, Any] = {
    "response_model": schemas.VisionAnswer,
    "response_model_exclude_none": True,
    "responses": {status: text for status, text in _ERRORS.items() if status != 501},
    "openapi_extra": body_of(schemas.VisionRequest, {"images": ["data:image/jpeg;base64,/9j/…"]}),
}


@router.post("/caption", summary="A caption of one picture", **_SHARED)
@requires(KeyRole.WRITE, stores=True)
async def vision_caption(
    request: Request, key: CurrentKey, services: CurrentServices
) -> schemas.VisionAnswer:
    """Follows `prompt`, if the backend can."""
    async with _asked(request, key, services) as (asked, pictures):
        if len(pictures) > 1:
            raise MalformedRequest("A caption is of one picture: send one.", field="images")
        analysis, *_ = await _described(asked, pictures, key.tenant, services, prompted=True)
        result = schemas.Result(caption=mapping.caption(analysis))
        return mapping.answer(asked.id or "", "caption", result, analysis)


@router.post("/labels", summary="Labels of a picture", **_SHARED)
@requires(KeyRole.WRITE, stores=True)
async def vision_labels(
    request: Request, key: CurrentKey, services: CurrentServices
) -> schemas.VisionAnswer:
    """Of several pictures together: PhotoPrism sends crops of one.

    With a default vocabulary the labels are chosen from it.
    """
    async with _asked(request, key, services) as (asked, pictures):
        analyses = await _described(asked, pictures, key.tenant, services, prompted=False)
        result = schemas.Result(labels=mapping.labels(analyses))
        return mapping.answer(asked.id or "", "labels", result, analyses[0])


@router.post("/nsfw", summary="Whether pictures are safe for work", **_SHARED)
@requires(KeyRole.WRITE, stores=True)
async def vision_nsfw(
    request: Request, key: CurrentKey, services: CurrentServices
) -> schemas.VisionAnswer:
    """One entry for each picture; one that cannot be judged is `unavailable`, not safe."""
    async with _asked(request, key, services) as (asked, pictures):
        judge = partial(_judged, key.tenant, services)
        judged = await bounded_map(judge, pictures, at_once=AT_ONCE)
        result = schemas.Result(nsfw=[mapping.safety(each) for each in judged])
        return mapping.answer(asked.id or "", "nsfw", result, mapping.first_answered(judged))


@router.post("/generate", include_in_schema=False)
@router.post(
    "/face",
    status_code=501,
    summary="Not served",
    response_model=errors.VisionError,
    responses=_REFUSALS,
)
@requires(KeyRole.READ)
async def vision_refused(request: Request, key: CurrentKey) -> JSONResponse:
    """Faces are found, but never told apart."""
    del key
    return errors.render_status(
        request, 501, "Ocelli finds faces, and does not tell whose they are."
    )


def document(schema: dict[str, Any]) -> None:
    """Add what FastAPI does not see."""
    add_components([errors.VisionError], schema)
    add_bodies([schemas.VisionRequest], schema)


@asynccontextmanager
async def _asked(
    request: Request, key: ApiKey, services: Services
) -> AsyncIterator[tuple[schemas.VisionRequest, list[Source | OcelliError]]]:
    async with read_body(request, services, key, services.chat.max_body_bytes) as body:
        asked = await json_reader.run_in_thread(body, partial(mapping.parse, body))
        request.state.vision_id = asked.id or ""
        yield asked, await asyncio.to_thread(mapping.sources, asked)


async def _described(
    asked: schemas.VisionRequest,
    pictures: list[Source | OcelliError],
    tenant: Tenant,
    services: Services,
    *,
    prompted: bool,
) -> list[Analysis]:
    """Return the answered analyses. Raises the error of the first picture that has one."""
    backends, level = mapping.respondent(services.chat.models, asked.model)
    vocabulary = await services.vocabularies.for_question(tenant)
    question = mapping.question(asked, backends, vocabulary, prompted=prompted)

    async def described(picture: Source | OcelliError) -> Analysis:
        return await _answered(tenant, services, picture, question, level)

    return await bounded_map(described, pictures, at_once=AT_ONCE)


async def _judged(
    tenant: Tenant, services: Services, picture: Source | OcelliError
) -> Analysis | OcelliError:
    try:
        return await _answered(
            tenant, services, picture, mapping.JUDGE_SAFETY, VerificationLevel.QUICK
        )
    except _OF_ONE_PICTURE as error:
        return error


async def _answered(
    tenant: Tenant,
    services: Services,
    picture: Source | OcelliError,
    question: Question,
    level: VerificationLevel,
) -> Analysis:
    if isinstance(picture, OcelliError):
        raise picture
    analysis = await services.adhoc.ask(tenant, picture, question, level=level)
    return await services.adhoc.answered(tenant.id, analysis.id, timeout=services.answer_timeout)
