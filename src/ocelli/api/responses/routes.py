"""Routes of the Responses: to answer, and to look at what was answered."""

from __future__ import annotations

import json
import logging
import time
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, HTTPException, Path, Query, Request
from fastapi.responses import Response

from ocelli.api import json_reader
from ocelli.api.auth import CurrentKey, CurrentServices
from ocelli.api.bodies import read_body
from ocelli.api.documented import body as body_of
from ocelli.api.policy import requires
from ocelli.api.responses import answers, mapping, schemas
from ocelli.api.responses.openapi import ERRORS, EVENTS, READ_ERRORS
from ocelli.api.services import Services
from ocelli.api.streams import EventStream, cancel_on_disconnect
from ocelli.domain.accounts import ApiKey
from ocelli.domain.chat_errors import (
    ChatError,
    InvalidValue,
    ResponseNotFound,
    UnsupportedParameter,
)
from ocelli.domain.errors import Conflict, Unavailable
from ocelli.domain.findings import LOCAL
from ocelli.domain.responses import StoredResponse
from ocelli.domain.scopes import KeyRole
from ocelli.usecases.conversations import Asking

log = logging.getLogger(__name__)

JSON = "application/json"

router = APIRouter(prefix="/v1/responses", tags=["responses"])

ResponseId = Annotated[str, Path(max_length=100, examples=["resp_" + "0" * 32])]


@router.post(
    "",
    summary="Answer about pictures",
    response_model=schemas.ResponseBody,
    responses={**ERRORS, 200: EVENTS},
    openapi_extra=body_of(
        schemas.ResponseRequest, {"model": LOCAL, "input": "What can you see in a picture?"}
    ),
)
@requires(KeyRole.WRITE)
async def create_response(request: Request, key: CurrentKey, services: CurrentServices) -> Response:
    """Text and pictures in, text or the call of a function out; with `stream` as typed events."""
    started = time.perf_counter()
    async with read_body(request, services, key, services.chat.max_body_bytes) as body:
        asked = await json_reader.run_in_thread(body, partial(mapping.parse, body))
        work = _create(request, key, services, body, asked, started)
        return await cancel_on_disconnect(request.receive, work)


@router.get("/{response_id}", summary="An answer that was given", responses=READ_ERRORS)
@requires(KeyRole.READ)
async def get_response(
    response_id: ResponseId,
    key: CurrentKey,
    services: CurrentServices,
    stream: Annotated[bool, Query(description="Not to be had.")] = False,
) -> schemas.ResponseBody:
    """For a day, unless it was asked for with `store: false`."""
    found = await _stored(key, services, response_id)
    if stream:
        raise UnsupportedParameter("An answer is streamed only once.", param="stream")
    return schemas.ResponseBody.model_validate_json(found.body)


@router.get(
    "/{response_id}/input_items", summary="What an answer was asked with", responses=READ_ERRORS
)
@requires(KeyRole.READ)
async def list_input_items(
    response_id: ResponseId,
    key: CurrentKey,
    services: CurrentServices,
    order: Literal["asc", "desc"] = "desc",
    after: Annotated[str | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> schemas.InputItems:
    """What was new in the request, without the turns before it."""
    found = await _stored(key, services, response_id)
    items = [
        {"type": "message", **item, "id": f"in_{found.id.hex}_{at}"}
        for at, item in enumerate(json.loads(found.input or b"[]"))
    ]
    if order == "desc":
        items.reverse()
    ids = [item["id"] for item in items]
    first = ids.index(after) + 1 if after in ids else 0
    page = items[first : first + limit]
    return schemas.InputItems(
        data=page,
        first_id=page[0]["id"] if page else None,
        last_id=page[-1]["id"] if page else None,
        has_more=first + limit < len(items),
    )


@router.delete("/{response_id}", summary="Forget an answer", responses=READ_ERRORS)
@requires(KeyRole.WRITE)
async def delete_response(
    response_id: ResponseId, key: CurrentKey, services: CurrentServices
) -> schemas.DeletedResponse:
    """At once, instead of after a day."""
    await services.chat.responses.delete(key.tenant.id, _known(response_id))
    return schemas.DeletedResponse(id=response_id)


@router.post("/{response_id}/cancel", include_in_schema=False)
@requires(KeyRole.WRITE)
async def cancel_response(
    response_id: ResponseId, key: CurrentKey, services: CurrentServices
) -> Response:
    """Only what runs in the background could be, and nothing does."""
    await _stored(key, services, response_id)
    raise InvalidValue("Only answers that run in the background can be cancelled.")


@router.post("/compact", include_in_schema=False)
@router.post("/input_tokens", include_in_schema=False)
@requires(KeyRole.WRITE)
async def not_served(key: CurrentKey) -> Response:
    """Nothing counts or shortens conversations here: 404, not the 405 of an answer's path."""
    del key
    raise HTTPException(404)


async def _create(
    request: Request,
    key: ApiKey,
    services: Services,
    body: bytes,
    asked: schemas.ResponseRequest,
    started: float,
) -> Response:
    """Whatever can be wrong with a request is found before the first byte of its answer."""
    services.chat.models.resolve(asked.model)
    draft = answers.Draft(asked, store=asked.store is not False)
    if draft.store:
        services.disk.enforce()
    before, previous = await _history(key, services, asked.previous_response_id)
    items = await _resolved(key, services, mapping.items_of(asked))
    conversation = await json_reader.run_in_thread(
        body,
        partial(mapping.conversation, asked, [*before, *items], len(before), model=asked.model),
    )

    async def keep(answer: dict[str, Any]) -> None:
        if not draft.store:
            return
        try:
            await services.chat.responses.add(key.tenant.id, draft.id, previous, items, answer)
        except (Unavailable, Conflict) as error:  # the answer is there and paid for, and says so
            log.warning("an answer could not be kept: %s", error)
            answer["store"] = False

    asking = Asking(
        key.tenant, services.quota.limits(key.tenant).max_image_bytes, request.state.request_id
    )
    took = {"openai-processing-ms": str(int((time.perf_counter() - started) * 1000))}
    if asked.stream:
        begun = await services.chat.conversations.begin(asking, conversation)
        pieces = answers.events(draft, begun.parts, keep)
        return EventStream(pieces, _unexpected, took, begun.close)
    answer = draft.done(await services.chat.conversations.answer(asking, conversation))
    await keep(answer)
    took = {"openai-processing-ms": str(int((time.perf_counter() - started) * 1000))}
    return Response(json.dumps(answer, ensure_ascii=False), 200, took, JSON)


async def _history(
    key: ApiKey, services: Services, previous: str | None
) -> tuple[list[Any], UUID | None]:
    """The items of the answers before, and the id of the last of those."""
    if previous is None:
        return [], None
    param = "previous_response_id"
    id = mapping.response_id(previous)
    if id is None:
        raise ResponseNotFound(
            f"Previous response with id {previous[:100]!r} not found.", param=param
        )
    return await services.chat.responses.history(key.tenant.id, id, param), id


async def _resolved(key: ApiKey, services: Services, items: list[Any]) -> list[Any]:
    """With what is only referred to in its place."""
    found = []
    for index, item in enumerate(items):
        id = mapping.reference(item)
        found.append(item if id is None else await _item(key, services, id, f"input[{index}].id"))
    return found


async def _item(key: ApiKey, services: Services, id: str, param: str) -> Any:
    response_id = mapping.response_of(id)
    try:
        if response_id is not None:
            found = await services.chat.responses.get(key.tenant.id, response_id)
            for each in json.loads(found.body)["output"]:
                if each["id"] == id:
                    return each
            given = json.loads(found.input or b"[]")
            if id.startswith("in_") and id.rpartition("_")[2].isdecimal():
                return given[int(id.rpartition("_")[2])]
    except (ResponseNotFound, IndexError):
        pass
    raise ResponseNotFound(f"Item with id {id[:100]!r} not found.", param=param)


async def _stored(key: ApiKey, services: Services, response_id: str) -> StoredResponse:
    return await services.chat.responses.get(key.tenant.id, _known(response_id))


def _known(response_id: str) -> UUID:
    id = mapping.response_id(response_id)
    if id is None:
        raise ResponseNotFound(f"Response with id {response_id[:100]!r} not found.")
    return id


def _unexpected(error: ChatError) -> bytes:
    """``answers.events`` has said every error itself."""
    raise error
