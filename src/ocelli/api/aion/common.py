"""Helpers that the routes of all resources share."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, BeforeValidator, Field

from ocelli.api.bodies import JsonRoute
from ocelli.api.documented import error_responses
from ocelli.api.errors import ErrorEnvelope
from ocelli.api.services import Services
from ocelli.domain.accounts import ApiKey
from ocelli.domain.choosing import Mode
from ocelli.domain.tagging import TagVocabulary
from ocelli.domain.vocabulary import MAX_NAME

PREFIX = "/api/v2"

_ERRORS = error_responses(
    ErrorEnvelope,
    {
        400: "The request cannot be read.",
        401: "No key, or not a good one.",
        403: "The key lacks the scope, or a limit of the plan is reached.",
        404: "Not found, or another tenant's.",
        409: "Its state does not allow that, or the same request is being carried out.",
        413: "Too large.",
        422: "Something in it cannot be accepted.",
        429: "Too many requests; `Retry-After` says for how many seconds.",
        502: "No backend could answer, or the tenant's own bucket refuses.",
        504: "There is no answer yet; the same question later is answered from memory.",
        503: "The database or the store does not answer right now.",
    },
)


def resource_router(prefix: str = "", *, tag: str) -> APIRouter:
    """Return the router of a resource, for paths below ``prefix``."""
    return APIRouter(route_class=JsonRoute, prefix=PREFIX + prefix, tags=[tag])


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the documented errors of a route: these, and those of all routes."""
    return {status: _ERRORS[status] for status in (*statuses, 401, 403, 422, 429, 503)}


def _day(value: object) -> object:
    """Return the date of a text that is one; pydantic would read it as a moment."""
    if isinstance(value, str) and len(value.strip()) == len("2026-05-10"):
        try:
            return date.fromisoformat(value.strip())
        except ValueError:
            return value
    return value


Moment = Annotated[datetime | date, BeforeValidator(_day)]

FileId = Annotated[
    str,
    Path(max_length=36, description="The id, or its first 8 characters.", examples=["9b1f8f52"]),
]


VOCABULARY = (
    "Choose tags from this vocabulary: its id or name. Default: the one of "
    "`PUT /tenant/vocabulary`, if there is one."
)
VOCABULARY_MODE = (
    "`strict`: only terms, the default. `prefer`: others too, as `new`. `off`: do not choose."
)


class VocabularyChoice(BaseModel):
    """What tags are chosen from."""

    vocabulary: str | None = Field(
        None, min_length=1, max_length=MAX_NAME, description=VOCABULARY, examples=["animals"]
    )
    vocabulary_mode: Mode | None = Field(None, description=VOCABULARY_MODE)


async def asked_vocabulary(
    body: VocabularyChoice, key: ApiKey, services: Services
) -> TagVocabulary | None:
    """Return the vocabulary that a request asks for. Raises NotFound, ValidationFailed."""
    return await services.vocabularies.for_question(
        key.tenant, body.vocabulary, body.vocabulary_mode
    )


def split_tags(text: str) -> tuple[str, ...]:
    """Return the distinct values of a form's field, separated by commas."""
    tags = (tag.strip() for tag in text.split(","))
    return tuple(dict.fromkeys(tag for tag in tags if tag))


def whole(milliseconds: float | None) -> int | None:
    """Return the value in the spelling of this surface."""
    return None if milliseconds is None else round(milliseconds)


def absolute(request: Request, services: Services, url: str) -> str:
    """Make a URL of this server absolute; others are absolute already."""
    return services.base_url(request) + url if url.startswith("/") else url
