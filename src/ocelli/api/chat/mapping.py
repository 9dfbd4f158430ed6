"""Conversions between bodies and conversations; errors name the path of the field."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from ocelli.api import json_reader, verified
from ocelli.api.answer_formats import PLAIN, AnswerFormat, answer_format
from ocelli.api.chat import schemas
from ocelli.domain.chat import (
    ChatAnswer,
    ChatMessage,
    Conversation,
    Detail,
    LevelReport,
    PictureRef,
    Tool,
)
from ocelli.domain.chat_errors import (
    InvalidJson,
    InvalidValue,
    MissingParameter,
    WrongType,
)
from ocelli.domain.findings import UNSAFE
from ocelli.domain.sight import SightState
from ocelli.usecases.chat_models import ChatModel

Body = TypeVar("Body", bound=BaseModel)

ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
CATEGORIES = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit",
    "illicit/violent", "self-harm", "self-harm/intent", "self-harm/instructions", "sexual",
    "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip
JUDGED = "sexual"
SAFETY_MODEL = "ocelli-safety"
RELEASED = 1_767_225_600  # a date that never changes, for clients that sort by it
MAX_STOPS = 4
MAX_MESSAGES = 10_000
MAX_NAME_LENGTH = 100  # of what a client calls something, where we repeat it

_DETAILS = {detail.value: detail for detail in Detail}
# What a model that only finds things cannot do. Values that ask for nothing are no demand.
_DEMANDING = ("tools", "functions", "logprobs", "top_logprobs", "logit_bias")
_TYPES = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "a number"}


def read(raw: bytes) -> Any:
    """Parse the JSON of a body. Blocks. Raises InvalidJson, and see ``json_reader.parse``."""
    try:
        return json_reader.parse(raw)
    except ValueError as error:
        raise InvalidJson(f"We could not parse the JSON body of your request: {error}") from error


def parse(model: type[Body], value: Any) -> Body:
    """Validate the result of ``read`` as ``model``. Raises ChatError for the first error."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        _raise_chat_error(error)


def conversation(request: schemas.ChatRequest) -> Conversation:
    """Raises ChatError."""
    format, schema, name = _format(request.response_format)
    options = _object_or_none(request.stream_options, "stream_options")
    limit = request.max_completion_tokens or request.max_tokens
    tools = _forced_tools(request)
    return Conversation(
        model=request.model,
        messages=_messages(request.messages),
        max_tokens=None if limit is None else int(min(limit, 1e9)),
        n=int(request.n or 1),
        stop=_stops(request.stop),
        stream=bool(request.stream),
        include_usage=bool(options.get("include_usage")),
        format=format,
        schema=schema,
        schema_name=name,
        demanding=tuple(
            name
            for name in _DEMANDING
            if _demands(request, name) and not (name == "tools" and tools)
        ),
        tools=tools,
    )


def pictures(messages: Any) -> tuple[PictureRef, ...]:
    """Return the pictures of relayed messages; the backend validates everything else.

    Raises ChatError for a picture without an address.
    """
    return tuple(
        _picture(part, f"messages[{index}].content[{at}]", index, at)
        for index, message in enumerate(_list(messages, "messages"))
        if isinstance(message, dict) and isinstance(message.get("content"), list)
        for at, part in enumerate(message["content"])
        if isinstance(part, dict) and part.get("type") == "image_url"
    )


def picture_inputs(value: Any) -> list[PictureRef]:
    """Return the pictures of a moderation request. Raises ChatError, also for text."""
    parts = value if isinstance(value, list) else [value]
    if not parts:
        raise InvalidValue("'input' is empty.", param="input")
    refs = []
    for index, part in enumerate(parts):
        kind = part.get("type") if isinstance(part, dict) else "text"
        if kind != "image_url":
            raise InvalidValue(
                "Only images are judged here, no text: nothing on this server could tell whether "
                "a text is harmful, so it is refused rather than called safe. Send image_url "
                "parts.",
                param=f"input[{index}]" if isinstance(value, list) else "input",
            )
        refs.append(_picture(part, f"input[{index}]", 0, index))
    return refs


def completion(answer: ChatAnswer) -> schemas.ChatCompletion:
    """Return the body of an answer."""
    message = schemas.AssistantMessage(content=answer.text)
    if answer.tool is not None:
        message = schemas.AssistantMessage(content=None, tool_calls=[tool_call(answer)])
    return schemas.ChatCompletion(
        id=new_id(),
        created=int(time.time()),
        model=answer.model,
        choices=[
            schemas.Choice(index=index, message=message, finish_reason=answer.finish)
            for index in range(answer.n)
        ],
        usage=usage(answer),
        ocelli=answer.report and verified.level_extension(answer.report),
    )


def extended(completion: bytes, report: LevelReport) -> bytes:
    """Return a backend's completion with what became of the level. Blocks."""
    value = {**json.loads(completion), **verified.extended(report)}
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def tool_call(answer: ChatAnswer) -> schemas.ToolCall:
    """Return the tool call of an answer."""
    function = schemas.FunctionCall(name=answer.tool or "", arguments=answer.text)
    return schemas.ToolCall(id=f"call_{uuid.uuid4().hex[:24]}", function=function)


def usage(answer: ChatAnswer) -> schemas.UsageBody:
    """Return the token counts of an answer."""
    use = answer.use
    return schemas.UsageBody(
        prompt_tokens=use.prompt,
        completion_tokens=use.completion,
        total_tokens=use.total,
        prompt_tokens_details=schemas.PromptDetails(
            text_tokens=use.text, image_tokens=use.pictures
        ),
    )


def moderation(nsfw: float) -> schemas.Moderation:
    """Return the body of a moderation; null for categories that the model does not know."""
    unknown: dict[str, Any] = dict.fromkeys(CATEGORIES)
    return schemas.Moderation(
        id=f"modr-{uuid.uuid4().hex}",
        model=SAFETY_MODEL,
        results=[
            schemas.ModerationResult(
                flagged=nsfw >= UNSAFE,
                categories={**unknown, JUDGED: nsfw >= UNSAFE},
                category_scores={**unknown, JUDGED: round(nsfw, 6)},
                category_applied_input_types={
                    name: ["image"] if name == JUDGED else [] for name in CATEGORIES
                },
            )
        ],
    )


def card(model: ChatModel, sight: Mapping[str, SightState]) -> schemas.ModelCard:
    """Return the entry of a model in the list; ``sight`` is what is known of the backends."""
    state = None if model.is_local else sight.get(model.owner)
    return schemas.ModelCard(
        id=model.id,
        created=RELEASED,
        owned_by=model.owner,
        alias_of=model.alias_of,
        level=model.level,
        sight=state and state.sight,
    )


def new_id() -> str:
    """Return a new id of an answer."""
    return f"chatcmpl-{uuid.uuid4().hex}"


def _messages(raw: Any) -> tuple[ChatMessage, ...]:
    messages = _list(raw, "messages")
    if not messages:
        raise InvalidValue("'messages' is empty: at least one is needed.", param="messages")
    if len(messages) > MAX_MESSAGES:
        raise InvalidValue(f"More than {MAX_MESSAGES} messages.", param="messages")
    return tuple(_message(each, index) for index, each in enumerate(messages))


def _message(raw: Any, index: int) -> ChatMessage:
    place = f"messages[{index}]"
    if not isinstance(raw, dict):
        _wrong_type(place, "an object", raw)
    role = raw.get("role")
    if role is None:
        raise _missing(f"{place}.role")
    if not isinstance(role, str):
        _wrong_type(f"{place}.role", "a string", role)
    if role not in ROLES:
        raise InvalidValue(
            f"Invalid value: {role[:40]!r}. Supported values are: 'system', 'developer', 'user', "
            "'assistant' and 'tool'.",
            param=f"{place}.role",
        )
    content = raw.get("content")
    if isinstance(content, str):
        return ChatMessage(role, (content,))
    if isinstance(content, list):
        return ChatMessage(
            role, tuple(_part(part, role, index, at) for at, part in enumerate(content))
        )
    if content is not None:
        _wrong_type(f"{place}.content", "a string or an array", content)
    if role == "assistant":
        return ChatMessage(role, ())
    raise _missing(f"{place}.content")


def _part(raw: Any, role: str, message: int, index: int) -> str | PictureRef:
    place = f"messages[{message}].content[{index}]"
    if not isinstance(raw, dict):
        _wrong_type(place, "an object", raw)
    kind = raw.get("type")
    match kind:
        case "text" | "refusal":
            text = raw.get(kind)
            if text is None:
                raise _missing(f"{place}.{kind}")
            if not isinstance(text, str):
                _wrong_type(f"{place}.{kind}", "a string", text)
            return text
        case "image_url" if role == "user":
            return _picture(raw, place, message, index)
        case "image_url":
            raise InvalidValue(
                "Images are only allowed in messages with the role 'user'.", param=f"{place}.type"
            )
        case None:
            raise _missing(f"{place}.type")
        case _:
            raise InvalidValue(
                f"Invalid value: {str(kind)[:40]!r}. Supported values are: 'text' and 'image_url'.",
                param=f"{place}.type",
            )


def _picture(part: dict[str, Any], place: str, message: int, index: int) -> PictureRef:
    place = f"{place}.image_url"
    value = part.get("image_url")
    detail, is_object = Detail.AUTO, isinstance(value, dict)
    if isinstance(value, dict):
        detail = _DETAILS.get(str(value.get("detail")), Detail.AUTO)
        value, place = value.get("url"), f"{place}.url"
    if value is None:
        raise _missing(place)
    if not isinstance(value, str):
        _wrong_type(place, "a string" if place.endswith("url.url") else "an object", value)
    return PictureRef(value.strip(), place, message, index, detail, is_object)


def _stops(raw: str | list[str] | None) -> tuple[str, ...]:
    stops = (raw,) if isinstance(raw, str) else tuple(raw or ())
    if len(stops) > MAX_STOPS:
        raise InvalidValue(f"At most {MAX_STOPS} stop sequences.", param="stop")
    return stops


def _format(raw: Any) -> AnswerFormat:
    value = _object_or_none(raw, "response_format")
    return answer_format(value, "response_format", nested="json_schema") if value else PLAIN


def _forced_tools(request: schemas.ChatRequest) -> tuple[Tool, ...]:
    """Return the tools of which one must be called; empty if the model may choose."""
    choice = request.tool_choice
    wanted: Any = None
    if isinstance(choice, dict):
        wanted = _object_or_none(choice.get("function", choice), "tool_choice.function").get("name")
    if not wanted and choice not in ("required", "any"):
        return ()
    tools = [_tool(each, index) for index, each in enumerate(request.tools or ())]
    chosen = tuple(tool for tool in tools if not wanted or tool.name == wanted)
    if not chosen:
        raise InvalidValue("There is no such tool in 'tools'.", param="tool_choice")
    return chosen


def _tool(raw: dict[str, Any], index: int) -> Tool:
    place = f"tools[{index}].function"
    function = _object_or_none(raw.get("function"), place)
    name, schema = function.get("name"), function.get("parameters")
    if not isinstance(name, str):
        raise _missing(f"{place}.name")
    return Tool(name, {"type": "object", **_object_or_none(schema, f"{place}.parameters")})


def _demands(request: schemas.ChatRequest, name: str) -> bool:
    if name in ("tools", "functions") and request.tool_choice == "none":
        return False  # they are only mentioned
    return bool(getattr(request, name))


def _list(raw: Any, place: str) -> list[Any]:
    if not isinstance(raw, list):
        _wrong_type(place, "an array", raw)
    return raw


def _object_or_none(raw: Any, place: str) -> dict[str, Any]:
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        _wrong_type(place, "an object", raw)
    return raw


def _wrong_type(place: str, wanted: str, got: Any) -> NoReturn:
    raise WrongType(
        f"Invalid type for '{place}': expected {wanted}, but got {_json_type(got)} instead.",
        param=place,
    )


def _missing(place: str) -> MissingParameter:
    return MissingParameter(f"Missing required parameter: '{place}'.", param=place)


def _json_type(value: Any) -> str:
    return _TYPES.get(type(value), "null" if value is None else "a number")


def _raise_chat_error(error: ValidationError) -> NoReturn:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    kind, message = first["type"], first["msg"]
    place = ""
    for step in first["loc"]:
        if isinstance(step, int):
            place += f"[{step}]"
        elif "[" not in step and step not in ("str", "dict"):  # a union's branch is no place
            place += f".{step[:MAX_NAME_LENGTH]}" if place else step
    if kind == "missing":
        raise _missing(place)
    if not place:
        raise WrongType("The body must be a JSON object.")
    if kind.endswith("_type"):
        raise WrongType(f"Invalid type for '{place}': {message}.", param=place)
    raise InvalidValue(f"Invalid value for '{place}': {message}.", param=place)
