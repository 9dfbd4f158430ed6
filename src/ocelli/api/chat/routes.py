"""Routes of conversations: completions, models, moderation."""

from __future__ import annotations

import inspect
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from starlette.routing import Route

from ocelli.api import json_reader
from ocelli.api.auth import CurrentKey, CurrentServices, admit, current_services, presented_key
from ocelli.api.bodies import read_body
from ocelli.api.chat import mapping, openapi, schemas, streaming
from ocelli.api.chat.openapi import ERRORS, READ_ERRORS
from ocelli.api.policy import requires
from ocelli.api.services import Services
from ocelli.api.streams import EventStream, cancel_on_disconnect
from ocelli.domain.accounts import ApiKey
from ocelli.domain.chat import ChatAnswer, Conversation, PictureRef
from ocelli.domain.chat_errors import ChatError
from ocelli.domain.findings import LOCAL
from ocelli.domain.scopes import KeyRole
from ocelli.usecases.chat_levels import unverified
from ocelli.usecases.chat_models import ChatTarget
from ocelli.usecases.chat_relay import TOKEN_FIELDS, RelayRequest

JSON = "application/json"
PATHS = ("/v1/chat/completions", "/chat/completions", "/v2/chat/completions")

router = APIRouter(tags=["chat"])


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request with its body; ``started`` is its time of ``perf_counter``."""

    request: Request
    services: Services
    key: ApiKey
    body: bytes
    started: float

    @property
    def max_picture_bytes(self) -> int:
        """The largest picture of the key's tier, in bytes."""
        return self.services.quota.limits(self.key.tenant).max_image_bytes

    @property
    def processing_header(self) -> dict[str, str]:
        """The header with the processing time so far."""
        return {"openai-processing-ms": str(int((time.perf_counter() - self.started) * 1000))}


@requires(KeyRole.WRITE)
async def chat_completions(request: Request) -> Response:
    """Text and pictures in, text out; with `stream` as server-sent events.

    Pictures may be in any message of a user, by address or inline. `ocelli-local` answers from what
    its detectors find; any configured backend answers for itself.
    """
    services = await current_services(request)
    key = await admit(request, presented_key(request))
    async with read_body(request, services, key, services.chat.max_body_bytes) as body:
        call = Call(request, services, key, body, time.perf_counter())
        return await cancel_on_disconnect(request.receive, _complete(call))


# Plain Starlette: FastAPI's way to a function costs as much as all that is done here for a relay.
PLAIN = [Route(path, chat_completions, methods=["POST"]) for path in PATHS]


def document(schema: dict[str, Any]) -> None:
    """Add to the OpenAPI document what FastAPI does not know of."""
    description = inspect.getdoc(chat_completions) or ""
    openapi.document(schema, PATHS, chat_completions.__name__, description)


async def _complete(call: Call) -> Response:
    """Validate the request completely before the first byte of the answer."""
    value, request = await json_reader.run_in_thread(call.body, partial(_read, call.body))
    target = call.services.chat.models.resolve(request.model)
    if target.upstreams:
        verified = await _verified(call, value, target)
        return verified or await _relay(call, request, target)
    conversation = await json_reader.run_in_thread(call.body, partial(_conversation, value))
    return await _local(call, conversation, target)


def _read(body: bytes) -> tuple[Any, schemas.RelayedRequest]:
    value = mapping.read(body)
    return value, mapping.parse(schemas.RelayedRequest, value)


def _conversation(value: Any) -> Conversation:
    return mapping.conversation(mapping.parse(schemas.ChatRequest, value))


async def _verified(call: Call, value: Any, target: ChatTarget) -> Response | None:
    """The description of a backend at the level of the name; None if the backend is to answer.

    Only it can judge a request that we do not understand.
    """
    if target.level is None:
        return None
    try:
        conversation = await json_reader.run_in_thread(call.body, partial(_conversation, value))
    except ChatError:
        return None
    answer = await _described(call, conversation, target)
    return None if answer is None else _answered(call, conversation, answer)


async def _local(call: Call, conversation: Conversation, target: ChatTarget) -> Response:
    answer = await _described(call, conversation, target)
    if answer is None:
        answer = await call.services.chat.local.complete(
            call.key.tenant, conversation, max_bytes=call.max_picture_bytes
        )
        answer = replace(answer, report=unverified(target))
    return _answered(call, conversation, answer)


async def _described(
    call: Call, conversation: Conversation, target: ChatTarget
) -> ChatAnswer | None:
    return await call.services.chat.verified.complete(
        call.key.tenant, conversation, target, max_bytes=call.max_picture_bytes
    )


def _answered(call: Call, conversation: Conversation, answer: ChatAnswer) -> Response:
    if conversation.stream:
        pieces = streaming.local(answer, include_usage=conversation.include_usage)
        return EventStream(pieces, streaming.failed, call.processing_header)
    return Response(mapping.completion(answer).model_dump_json(), 200, call.processing_header, JSON)


async def _relay(call: Call, request: schemas.RelayedRequest, target: ChatTarget) -> Response:
    pictures = await json_reader.run_in_thread(
        call.body, partial(mapping.pictures, request.messages)
    )
    passed = RelayRequest(
        body=call.body,
        read=partial(mapping.read, call.body),
        model=request.model,
        pictures=pictures,
        stream=bool(request.stream),
        limits=tuple(name for name in TOKEN_FIELDS if getattr(request, name) is not None),
        request_id=call.request.state.request_id,
    )
    relayed = await call.services.chat.relay.open(
        call.key.tenant, target.upstreams, passed, max_bytes=call.max_picture_bytes
    )
    report = unverified(target)
    if relayed.events is not None:
        events = relayed.events if report is None else streaming.extended(relayed.events, report)
        return EventStream(events, streaming.failed, call.processing_header, relayed.close)
    relayed.close()
    body = relayed.body
    if report is not None:
        body = await json_reader.run_in_thread(body, partial(mapping.extended, body, report))
    return Response(body, 200, call.processing_header, JSON)


@router.post(
    "/v1/moderations",
    summary="Judge pictures",
    response_model=schemas.Moderation,
    responses=ERRORS,
    openapi_extra=openapi.MODERATION,
)
@requires(KeyRole.WRITE, stores=True)
async def moderate(request: Request, key: CurrentKey, services: CurrentServices) -> Response:
    """Pictures against the safety model. What no model looks for is null, never false."""
    async with read_body(request, services, key, services.chat.max_body_bytes) as body:
        refs = await json_reader.run_in_thread(body, partial(_picture_refs, body))
        max_bytes = services.quota.limits(key.tenant).max_image_bytes
        nsfw = await services.chat.moderation.judge(key.tenant, refs, max_bytes=max_bytes)
    return Response(mapping.moderation(nsfw).model_dump_json(), media_type=JSON)


def _picture_refs(body: bytes) -> list[PictureRef]:
    value = mapping.read(body)
    return mapping.picture_inputs(mapping.parse(schemas.ModerationRequest, value).input)


@router.get("/models", summary="Which models there are", responses=READ_ERRORS)
@router.get("/v1/models", summary="Which models there are", responses=READ_ERRORS)
@requires(KeyRole.READ)
async def list_models(key: CurrentKey, services: CurrentServices) -> schemas.ModelList:
    """Every name that `model` may be, aliases too."""
    del key
    sight = await services.sight_states()
    models = services.chat.models.all()
    return schemas.ModelList(data=[mapping.card(model, sight) for model in models])


@router.get(
    "/v1/models/{model_id:path}",
    summary="One model",
    responses={**READ_ERRORS, 404: ERRORS[404]},
)
@requires(KeyRole.READ)
async def get_model(
    model_id: Annotated[str, Path(description="It may contain slashes.", examples=[LOCAL])],
    key: CurrentKey,
    services: CurrentServices,
) -> schemas.ModelCard:
    """What the list says about it."""
    del key
    found = services.chat.models.get(model_id)
    return mapping.card(found, await services.sight_states())
