"""Routes of Ollama's API. Bodies are JSON whatever their Content-Type says, as Ollama has it."""

from __future__ import annotations

import json
import time
from functools import partial
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel

from ocelli.api import json_reader
from ocelli.api.auth import CurrentServices
from ocelli.api.bodies import read_body
from ocelli.api.documented import body as body_of
from ocelli.api.ollama import mapping, models, paths, schemas, streaming
from ocelli.api.ollama.auth import CurrentCaller
from ocelli.api.ollama.openapi import ERRORS, LINES, READ_ERRORS, document
from ocelli.api.policy import public, requires
from ocelli.api.services import Services
from ocelli.api.streams import cancel_on_disconnect
from ocelli.domain.accounts import MEGABYTE, ApiKey
from ocelli.domain.chat import Conversation
from ocelli.domain.chat_errors import InvalidValue, UnsupportedParameter
from ocelli.domain.findings import LOCAL
from ocelli.domain.scopes import KeyRole
from ocelli.usecases.conversations import Asking

__all__ = ["document", "router"]

Body = TypeVar("Body", bound=BaseModel)

VERSION = "0.33.0"  # of Ollama's API, as this is
JSON = "application/json; charset=utf-8"
_SMALL = MEGABYTE  # bytes of a body without pictures
_EXAMPLE = {"model": LOCAL, "stream": False}

router = APIRouter(prefix=paths.PREFIX, tags=["ollama"])


@router.api_route("", methods=["GET", "HEAD"], include_in_schema=False)
@router.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
@public
async def ollama_running() -> PlainTextResponse:
    """What clients look for to know that there is a server."""
    return PlainTextResponse("Ollama is running")


@router.head("/api/version", include_in_schema=False)
@router.get("/api/version", summary="Which version this is like", responses=READ_ERRORS)
@requires(KeyRole.READ, counted=False)
async def ollama_version(key: CurrentCaller) -> schemas.Version:
    """Of Ollama; clients ask to see whether there is a server, and whether their key is good."""
    del key
    return schemas.Version(version=VERSION)


@router.head("/api/tags", include_in_schema=False)
@router.get("/api/tags", summary="Which models there are", responses=READ_ERRORS)
@requires(KeyRole.READ, counted=False)
async def ollama_tags(key: CurrentCaller, services: CurrentServices) -> schemas.TagList:
    """Every name that `model` may be, aliases too."""
    del key
    return models.tags(services.chat.models, services.embeddings.embedder)


@router.get("/api/ps", summary="Which models are ready", responses=READ_ERRORS)
@requires(KeyRole.READ, counted=False)
async def ollama_ps(key: CurrentCaller, services: CurrentServices) -> schemas.RunningList:
    """All of them."""
    del key
    return models.running(services.chat.models, services.embeddings.embedder)


@router.post(
    "/api/show",
    summary="One model",
    response_model=schemas.ShownModel,
    responses=ERRORS,
    openapi_extra=body_of(schemas.Named, {"model": LOCAL}),
)
@requires(KeyRole.READ)
async def ollama_show(request: Request, key: CurrentCaller, services: CurrentServices) -> Response:
    """What it can do."""
    asked = await _read(request, key, services, schemas.Named)
    name = _required(asked.model or asked.name)
    if models.is_embedder(services.embeddings.embedder, name):
        return _json(models.shown_embedder(services.embeddings.embedder).model_dump())
    found = models.find(services.chat.models, name)
    return _json(models.shown(found).model_dump())


@router.post(
    "/api/generate",
    summary="Answer a prompt about pictures",
    response_model=schemas.GenerateAnswer,
    response_model_exclude_none=True,
    responses={**ERRORS, 200: LINES},
    openapi_extra=body_of(
        schemas.GenerateRequest, {**_EXAMPLE, "prompt": "What is in this picture?"}
    ),
)
@requires(KeyRole.WRITE)
async def ollama_generate(
    request: Request, key: CurrentCaller, services: CurrentServices
) -> Response:
    """Text and pictures in, text out; as lines of JSON unless `stream` is false."""
    started = time.perf_counter()
    async with read_body(request, services, key, services.chat.max_body_bytes) as body:
        asked = await json_reader.run_in_thread(
            body, partial(mapping.parse, schemas.GenerateRequest, body)
        )
        model = models.find(services.chat.models, asked.model or "")
        unloads = mapping.unloads(asked.keep_alive)
        said = streaming.generated
        if not asked.prompt:  # also where there are pictures
            return _json(streaming.loaded(asked.model or "", said, unloads=unloads))
        conversation = await json_reader.run_in_thread(
            body, partial(mapping.generation, asked, model.id)
        )
        answering = _answer(request, key, services, asked, conversation, said, started)
        return await cancel_on_disconnect(request.receive, answering)


@router.post(
    "/api/chat",
    summary="Continue a conversation about pictures",
    response_model=schemas.OllamaChatAnswer,
    response_model_exclude_none=True,
    responses={**ERRORS, 200: LINES},
    openapi_extra=body_of(
        schemas.OllamaChatRequest,
        {**_EXAMPLE, "messages": [{"role": "user", "content": "What is in this picture?"}]},
    ),
)
@requires(KeyRole.WRITE)
async def ollama_chat(request: Request, key: CurrentCaller, services: CurrentServices) -> Response:
    """Text and pictures in, text out; as lines of JSON unless `stream` is false."""
    started = time.perf_counter()
    async with read_body(request, services, key, services.chat.max_body_bytes) as body:
        asked = await json_reader.run_in_thread(
            body, partial(mapping.parse, schemas.OllamaChatRequest, body)
        )
        model = models.find(services.chat.models, _required(asked.model))
        unloads = mapping.unloads(asked.keep_alive)
        said = streaming.chatted
        if not mapping.messages_of(asked):
            return _json(streaming.loaded(asked.model or "", said, unloads=unloads))
        conversation = await json_reader.run_in_thread(
            body, partial(mapping.conversation, asked, model.id)
        )
        if conversation.offered and model.is_local:
            raise UnsupportedParameter(f"{asked.model} does not support tools")
        answering = _answer(request, key, services, asked, conversation, said, started)
        return await cancel_on_disconnect(request.receive, answering)


@router.post(
    "/api/pull",
    summary="Fetch a model that is here",
    response_model=schemas.PullStatus,
    responses={**ERRORS, 200: LINES},
    openapi_extra=body_of(schemas.PullRequest, {"model": LOCAL, "stream": False}),
)
@requires(KeyRole.READ)
async def ollama_pull(request: Request, key: CurrentCaller, services: CurrentServices) -> Response:
    """Done at once for a model that is served; others come by the setting `backends` only."""
    asked = await _read(request, key, services, schemas.PullRequest)
    name = asked.model or asked.name
    if not name:
        raise InvalidValue("invalid model name")
    if not models.is_embedder(services.embeddings.embedder, name):
        models.find(services.chat.models, name)
    done = schemas.PullStatus(status="success").model_dump()
    if asked.stream is False:
        return _json(done)
    lines = ({"status": "pulling manifest"}, done)
    text = "".join(json.dumps(each) + "\n" for each in lines)
    return Response(text, media_type=streaming.Lines.media_type)


@router.post(
    "/api/embed",
    summary="Vectors of the meaning of texts",
    response_model=schemas.Embedded,
    responses=ERRORS,
    openapi_extra=body_of(schemas.EmbedRequest, {"model": "all-minilm", "input": ["a red car"]}),
)
@requires(KeyRole.WRITE)
async def ollama_embed(request: Request, key: CurrentCaller, services: CurrentServices) -> Response:
    """All of one length and comparable with one another. Of a text at most 256 tokens are read."""
    started = time.perf_counter()
    asked = await _read(request, key, services, schemas.EmbedRequest)
    embedder = services.embeddings.embedder
    models.require_embedder(services.chat.models, embedder, asked.model or "")
    texts = mapping.texts_of(asked.input)
    found = await cancel_on_disconnect(request.receive, services.embeddings.embed(texts))
    return _json(mapping.embedded(asked, found, started, limit=embedder.max_tokens).model_dump())


@router.post("/api/embeddings", include_in_schema=False)
@requires(KeyRole.WRITE)
async def ollama_embeddings(
    request: Request, key: CurrentCaller, services: CurrentServices
) -> Response:
    """One vector; what older clients ask for."""
    asked = await _read(request, key, services, schemas.EmbeddingsRequest)
    models.require_embedder(services.chat.models, services.embeddings.embedder, asked.model or "")
    if not asked.prompt:
        return _json(schemas.EmbeddedPrompt(embedding=[]).model_dump())
    (found,) = await services.embeddings.embed([asked.prompt])
    return _json(schemas.EmbeddedPrompt(embedding=list(found.vector)).model_dump())


@router.delete("/api/delete", include_in_schema=False)
@requires(KeyRole.READ)
async def ollama_delete(
    request: Request, key: CurrentCaller, services: CurrentServices
) -> JSONResponse:
    """Models come and go with the settings."""
    asked = await _read(request, key, services, schemas.Named)
    models.find(services.chat.models, _required(asked.model or asked.name))
    return JSONResponse({"error": "models are removed with the setting `backends`"}, 403)


@router.api_route("/api/blobs/{digest:path}", methods=["HEAD", "POST"], include_in_schema=False)
@router.get("/api/status", include_in_schema=False)
@router.post("/api/copy", include_in_schema=False)
@router.post("/api/create", include_in_schema=False)
@router.post("/api/me", include_in_schema=False)
@router.post("/api/push", include_in_schema=False)
@router.post("/api/signout", include_in_schema=False)
@requires(KeyRole.READ)
async def ollama_refused(key: CurrentCaller) -> JSONResponse:
    """What Ollama does for its operator."""
    del key
    return JSONResponse(
        {"error": "this server makes, copies and publishes no models; see the setting `backends`"},
        501,
    )


async def _answer(
    request: Request,
    key: ApiKey,
    services: Services,
    asked: schemas.OllamaRequest,
    conversation: Conversation,
    said: streaming.Said,
    started: float,
) -> Response:
    """Whatever can be wrong with a request is found before the first byte of its answer."""
    asking = Asking(
        key.tenant,
        services.quota.limits(key.tenant).max_image_bytes,
        request.state.request_id,
    )
    name = asked.model or ""
    if asked.stream is False:
        answer = await services.chat.conversations.answer(asking, conversation)
        return _json(streaming.whole(answer, name, said, started))
    begun = await services.chat.conversations.begin(asking, conversation)
    return streaming.Lines(begun, name, said, started)


async def _read(request: Request, key: ApiKey, services: Services, model: type[Body]) -> Body:
    async with read_body(request, services, key, _SMALL) as body:
        return await json_reader.run_in_thread(body, partial(mapping.parse, model, body))


def _required(name: str | None) -> str:
    if not name:
        raise InvalidValue("model is required")
    return name


def _json(value: dict[str, Any]) -> Response:
    return Response(json.dumps(value, ensure_ascii=False), media_type=JSON)
