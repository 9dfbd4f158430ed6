"""Routes of conversations: completions, models, moderation."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic_core import from_json

from ocelli.api.auth import CurrentKey, CurrentServices
from ocelli.api.chat import examples, mapping, schemas, streaming
from ocelli.api.chat.errors import ChatErrorEnvelope
from ocelli.api.raw import Call, RawRoute
from ocelli.api.services import Services
from ocelli.domain.chat import Conversation
from ocelli.domain.chat_errors import ClientGone
from ocelli.domain.findings import LOCAL
from ocelli.domain.ports_chat import ChatUpstream
from ocelli.usecases.chat_relay import TOKEN_FIELDS, Passed

Work = Callable[[Call], Awaitable[None]]

JSON = b"application/json"

_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ChatErrorEnvelope, "description": text}
    for status, text in {
        400: "Something in the request is wrong; `param` says where, `code` what.",
        401: "No key, or not a good one.",
        403: "The key lacks the scope, or the month's share is used up.",
        404: "No such model.",
        409: "The same request is being carried out (with an Idempotency-Key).",
        413: "The body is too large.",
        422: "The Idempotency-Key belongs to another request.",
        429: "Too many requests; `Retry-After` says for how many seconds.",
        502: "A configured backend does not do its work.",
        503: "A backend, the workers or the database cannot answer now.",
    }.items()
}
_READ_ERRORS: dict[int | str, dict[str, Any]] = {
    **{status: _ERRORS[status] for status in (401, 403, 429, 503)},
    422: {"model": ChatErrorEnvelope, "description": "A parameter cannot be accepted."},
}


async def chat_completions(body: schemas.ChatRequest, key: CurrentKey) -> schemas.ChatCompletion:
    """Text and pictures in, text out; with `stream` as server-sent events.

    Pictures may be in any message of a user, by address or inline. `ocelli-local` answers from what
    its detectors find; any configured backend answers for itself.
    """
    raise NotImplementedError("see RawRoute")


async def moderate(body: schemas.ModerationRequest, key: CurrentKey) -> schemas.Moderation:
    """Pictures against the safety model. What nobody looked for is null, never false."""
    raise NotImplementedError("see RawRoute")


async def _complete(call: Call) -> None:
    """Whatever can be wrong with a request is found before the first byte of its answer."""
    started = time.perf_counter()
    request = mapping.parse(schemas.ChatRequest, call.body)
    asked = mapping.conversation(request)
    upstreams = call.mine.chat.models.resolve(asked.model)
    if upstreams:
        answer = _relay(call, request, asked, upstreams, started)
    else:
        answer = _local(call, asked, started)
    with contextlib.suppress(ClientGone):
        await streaming.unless_gone(call.receive, answer)


async def _local(call: Call, asked: Conversation, started: float) -> None:
    answer = await call.mine.chat.local.complete(
        call.key.tenant, asked, max_bytes=_max_picture_bytes(call)
    )
    if asked.stream:
        pieces = streaming.local(answer, include_usage=asked.include_usage)
        await streaming.send_stream(call.send, pieces, _took(started))
    else:
        body = mapping.completion(answer).model_dump_json().encode()
        await call.answer(body, JSON, _took(started))


async def _relay(
    call: Call,
    request: schemas.ChatRequest,
    asked: Conversation,
    upstreams: list[ChatUpstream],
    started: float,
) -> None:
    def read() -> dict[str, Any]:
        fields: dict[str, Any] = from_json(call.body)
        return fields

    passed = Passed(
        body=call.body,
        read=read,
        model=asked.model,
        pictures=asked.pictures,
        stream=asked.stream,
        limits=tuple(name for name in TOKEN_FIELDS if getattr(request, name) is not None),
        request_id=call.request.state.request_id,
    )
    relayed = await call.mine.chat.relay.open(
        call.key.tenant, upstreams, passed, max_bytes=_max_picture_bytes(call)
    )
    try:
        if relayed.pieces is None:
            await call.answer(relayed.whole, JSON, _took(started))
        else:
            async with contextlib.aclosing(relayed.pieces) as pieces:
                await streaming.send_stream(call.send, pieces, _took(started))
    finally:
        relayed.close()


async def _moderate(call: Call) -> None:
    request = mapping.parse(schemas.ModerationRequest, call.body)
    refs = mapping.picture_inputs(request.input)
    nsfw = await call.mine.chat.moderation.judge(
        call.key.tenant, refs, max_bytes=_max_picture_bytes(call)
    )
    await call.answer(mapping.moderation(nsfw).model_dump_json().encode(), JSON)


def _max_picture_bytes(call: Call) -> int:
    return call.mine.quota.limits(call.key.tenant).max_image_bytes


def _max_body_bytes(mine: Services) -> int:
    return mine.chat.max_body_bytes


def _took(started: float) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"openai-processing-ms", b"%d" % ((time.perf_counter() - started) * 1000)),)


def _raw(path: str, endpoint: Callable[..., Any], work: Work, **options: Any) -> RawRoute:
    options = {"tags": ["chat"], "responses": _ERRORS, **options}
    return RawRoute(path, endpoint, work=work, max_bytes=_max_body_bytes, **options)


ROUTES = [
    _raw(
        path,
        chat_completions,
        _complete,
        summary="Continue a conversation about pictures",
        response_model=schemas.ChatCompletion,
        openapi_extra=examples.CHAT,
    )
    for path in ("/v1/chat/completions", "/chat/completions", "/v2/chat/completions")
]
ROUTES.append(
    _raw(
        "/v1/moderations",
        moderate,
        _moderate,
        summary="Judge pictures",
        response_model=schemas.Moderation,
        openapi_extra=examples.MODERATION,
    )
)

router = APIRouter(tags=["chat"])


@router.get("/models", summary="Which models there are", responses=_READ_ERRORS)
@router.get("/v1/models", summary="Which models there are", responses=_READ_ERRORS)
async def list_models(key: CurrentKey, mine: CurrentServices) -> schemas.ModelList:
    """Every name that `model` may be, aliases too."""
    del key
    return schemas.ModelList(data=[mapping.card(model) for model in mine.chat.models.all()])


@router.get(
    "/v1/models/{model_id:path}",
    summary="One model",
    responses={**_READ_ERRORS, 404: _ERRORS[404]},
)
async def get_model(
    model_id: Annotated[str, Path(description="It may contain slashes.", examples=[LOCAL])],
    key: CurrentKey,
    mine: CurrentServices,
) -> schemas.ModelCard:
    """What the list says about it."""
    del key
    return mapping.card(mine.chat.models.get(model_id))
