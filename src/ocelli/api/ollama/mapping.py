"""Between Ollama's bodies and conversations."""

from __future__ import annotations

import json
import math
import re
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from ocelli.api import json_reader
from ocelli.api.ollama import schemas
from ocelli.domain.chat import (
    ChatMessage,
    Conversation,
    Finish,
    Format,
    PictureRef,
    Tool,
    ToolInvocation,
)
from ocelli.domain.chat_errors import (
    InvalidJson,
    InvalidSchema,
    InvalidValue,
    UnsupportedParameter,
    WrongType,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.domain.embeddings import Embedding

Body = TypeVar("Body", bound=BaseModel)

MAX_MESSAGES = 10_000

# Of `options`: what Ollama wants there.
_OPTIONS: dict[str, tuple[type, ...]] = {
    "num_predict": (int, float),
    "seed": (int, float),
    "temperature": (int, float),
    "top_p": (int, float),
    "presence_penalty": (int, float),
    "frequency_penalty": (int, float),
    "stop": (list, str),
}
_WHOLE = ("num_predict", "seed")
_PASSED = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
_ROLES = ("system", "user", "assistant", "tool")
_NO_BASE64 = re.compile(r"[^A-Za-z0-9+/_=\s-]")
_LOOKED_AT = 64  # signs at the beginning of a picture: what is no base64 mostly shows at once
_DURATION = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|ms|s|m|h)?")


def parse(model: type[Body], raw: bytes) -> Body:
    """A body, whatever its Content-Type. Blocks. Raises ChatError."""
    if not raw.strip():
        raise InvalidJson("missing request body")
    try:
        value = json_reader.parse(raw)
    except ValueError as error:
        raise InvalidJson(f"invalid JSON: {error}") from error
    try:
        return model.model_validate(value)
    except ValidationError as error:
        _refuse(error)


def generation(request: schemas.GenerateRequest, model: str) -> Conversation:
    """A prompt as a conversation of one turn. Raises ChatError."""
    if request.suffix:
        raise UnsupportedParameter(f"{request.model} does not support insert")
    said = ChatMessage("user", (request.prompt or "",))
    before = (ChatMessage("system", (request.system,)),) if request.system else ()
    shown = _pictures(request.images, "images", len(before), 0)
    return _conversation(
        request, model, (*before, ChatMessage("user", (*shown, *said.parts))), tools=()
    )


def conversation(request: schemas.OllamaChatRequest, model: str) -> Conversation:
    """Raises ChatError."""
    raw = messages_of(request)
    if len(raw) > MAX_MESSAGES:
        raise InvalidValue(f"more than {MAX_MESSAGES} messages", param="messages")
    turns = _Turns()
    messages = tuple(turns.read(each, index) for index, each in enumerate(raw))
    return _conversation(request, model, messages, _tools(request.tools))


def messages_of(request: schemas.OllamaChatRequest) -> list[Any]:
    """Undecoded. Raises WrongType."""
    if request.messages is None:
        return []
    if not isinstance(request.messages, list):
        _wrong("messages", "an array")
    return request.messages


def texts_of(given: str | list[str] | None) -> list[str]:
    """The texts to embed; none for an empty one. Raises InvalidValue if there are too many."""
    texts = [given] if isinstance(given, str) else given or []
    if len(texts) > schemas.MAX_TEXTS:
        raise InvalidValue(
            f"input has {len(texts):,} texts; at most {schemas.MAX_TEXTS:,} are taken"
        )
    return [] if texts == [""] else texts


def embedded(
    asked: schemas.EmbedRequest, found: Sequence[Embedding], started: float, *, limit: int
) -> schemas.Embedded:
    """The answer. Raises InvalidValue for a text that is too long and may not be cut."""
    if asked.truncate is False and not all(each.whole for each in found):
        raise InvalidValue(f"the input length exceeds the context length of {limit} tokens")
    return schemas.Embedded(
        model=asked.model or "",
        embeddings=[_shortened(each.vector, asked.dimensions) for each in found],
        total_duration=round((time.perf_counter() - started) * 1e9),
        prompt_eval_count=sum(each.tokens for each in found),
    )


def _shortened(vector: Sequence[float], dimensions: int | None) -> list[float]:
    kept = vector[:dimensions]
    length = math.hypot(*kept)
    return [each / length for each in kept] if length and len(kept) < len(vector) else list(kept)


def unloads(keep_alive: Any) -> bool:
    """Whether it is zero. Raises ChatError for what is no duration."""
    if keep_alive is None:
        return False
    if isinstance(keep_alive, str):
        parts = _DURATION.findall(keep_alive)
        if not parts or "".join(parts) != keep_alive:
            raise InvalidValue(f"time: invalid duration {keep_alive[:40]!r}", param="keep_alive")
        return not any(sign in "123456789" for sign in keep_alive)
    if isinstance(keep_alive, bool) or not isinstance(keep_alive, (int, float)):
        _wrong("keep_alive", "a number of seconds or a duration")
    return keep_alive == 0


def now() -> str:
    """As Ollama writes it."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def done_reason(finish: Finish) -> str:
    """A call of a tool is an ordinary end."""
    return "length" if finish is Finish.LENGTH else "stop"


def called(calls: tuple[ToolInvocation, ...]) -> list[dict[str, Any]]:
    """With their arguments as objects; those of a call that was cut off are lost."""
    return [
        {
            "id": call.id or f"call_{uuid.uuid4().hex[:8]}",
            "function": {"index": at, "name": call.name, "arguments": _arguments(call.arguments)},
        }
        for at, call in enumerate(calls)
    ]


def _conversation(
    request: schemas.OllamaRequest,
    model: str,
    messages: tuple[ChatMessage, ...],
    tools: tuple[Tool, ...],
) -> Conversation:
    format, schema = _format(request.format)
    options = _options(request.options)
    limit = int(options.get("num_predict", -1))
    seed = int(options.get("seed", -1))
    stop = options.get("stop", ())
    sampling = {name: options[name] for name in _PASSED if name in options}
    if seed >= 0:
        sampling["seed"] = seed
    demanding = [("tools", bool(tools)), ("logprobs", bool(request.logprobs))]
    return Conversation(
        model=model,
        messages=messages,
        max_tokens=limit if limit > 0 else None,
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        format=format,
        schema=schema,
        schema_name="format" if schema is not None else "",
        demanding=tuple(name for name, is_asked in demanding if is_asked),
        offered=tools,
        sampling=sampling,
    )


def _format(raw: Any) -> tuple[Format, dict[str, Any] | None]:
    match raw:
        case None | "":
            return Format.TEXT, None
        case "json":
            return Format.JSON_OBJECT, None
        case dict():
            return Format.JSON_SCHEMA, raw
    raise InvalidSchema(
        f'invalid format: {json.dumps(raw)[:100]}; expected "json" or a JSON Schema',
    )


def _options(raw: Any) -> dict[str, Any]:
    """Those that we know. Raises WrongType."""
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        _wrong("options", "an object")
    known = {name: raw[name] for name in _OPTIONS if raw.get(name) is not None}
    for name, value in known.items():
        if isinstance(value, bool) or not isinstance(value, _OPTIONS[name]):
            wanted = "array" if name == "stop" else "integer" if name in _WHOLE else "float32"
            raise WrongType(f'option "{name}" must be of type {wanted}')
        if isinstance(value, float) and abs(value) >= 2**31:  # NaN is no JSON
            raise InvalidValue(f'option "{name}" is out of range')
    if not all(isinstance(each, str) for each in known.get("stop", ())):
        raise WrongType('option "stop" must be of type array')
    return known


def _pictures(raw: Any, place: str, message: int, first: int) -> tuple[PictureRef, ...]:
    if raw is None:
        return ()
    if not isinstance(raw, list):
        _wrong(place, "an array")
    return tuple(
        PictureRef(_data_url(each, f"{place}[{at}]"), f"{place}[{at}]", message, first + at)
        for at, each in enumerate(raw)
    )


def _data_url(raw: Any, place: str) -> str:
    """Clients of other APIs put a data URL here; an address is none of Ollama's pictures."""
    if not isinstance(raw, str):
        _wrong(place, "a string")
    if raw[:5].lower() == "data:":
        return raw
    wrong = _NO_BASE64.search(raw[:_LOOKED_AT])
    if wrong is not None:
        raise InvalidValue(
            f"illegal base64 data at input byte {len(raw[: wrong.start()].encode())}", param=place
        )
    return f"data:;base64,{raw}"


class _Turns:
    """Reads messages in their order: a tool's answer belongs to a call before it."""

    def __init__(self) -> None:
        self._open: list[tuple[str, str]] = []  # ids and names of calls without an answer

    def read(self, raw: Any, index: int) -> ChatMessage:
        place = f"messages[{index}]"
        if not isinstance(raw, dict):
            _wrong(place, "an object")
        role = str(raw.get("role") or "").lower()
        if role not in _ROLES:
            raise InvalidValue(
                f"invalid role {role[:40]!r}: expected one of {', '.join(_ROLES)}",
                param=f"{place}.role",
            )
        shown = _pictures(raw.get("images"), f"{place}.images", index, 0)
        if shown and role in ("system", "assistant"):
            raise InvalidValue(
                "images are only allowed in messages of a user", param=f"{place}.images"
            )
        said, more = _content(raw.get("content"), place, index, len(shown))
        parts: tuple[str | PictureRef, ...] = (*shown, *more)
        if said or not parts:
            parts = (*parts, said)
        calls = tuple(self._calls(raw.get("tool_calls"), place, index))
        call_id = self._answered(raw) if role == "tool" else ""
        if role == "tool" and (shown or more):
            raise InvalidValue(
                "images are only allowed in messages of a user", param=f"{place}.images"
            )
        return ChatMessage(role, parts, calls, call_id)

    def _calls(self, raw: Any, place: str, index: int) -> list[ToolInvocation]:
        if raw is None:
            return []
        if not isinstance(raw, list):
            _wrong(f"{place}.tool_calls", "an array")
        calls = []
        for at, each in enumerate(raw):
            function = each.get("function") if isinstance(each, dict) else None
            if not isinstance(function, dict) or not isinstance(function.get("name"), str):
                _wrong(f"{place}.tool_calls[{at}].function", "an object with a name")
            id = str(each.get("id") or f"call_{index}_{at}")
            arguments = function.get("arguments")
            text = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
            calls.append(ToolInvocation(id, function["name"], text))
            self._open.append((id, function["name"]))
        return calls

    def _answered(self, raw: dict[str, Any]) -> str:
        """The id of the call; else of the first open one of that name, else of the first."""
        id, name = raw.get("tool_call_id"), raw.get("tool_name")
        ids = [known for known, called in self._open if known == id or (not id and called == name)]
        first = self._open[0][0] if self._open else ""
        found = next(iter(ids), str(id) if id else first)
        self._open = [each for each in self._open if each[0] != found]
        return found


def _content(raw: Any, place: str, message: int, first: int) -> tuple[str, tuple[PictureRef, ...]]:
    """What is said and shown; some clients send the parts of chat completions here."""
    if raw is None:
        return "", ()
    if isinstance(raw, str):
        return raw, ()
    if not isinstance(raw, list):
        _wrong(f"{place}.content", "a string")
    texts: list[str] = []
    refs: list[PictureRef] = []
    for at, part in enumerate(raw):
        here = f"{place}.content[{at}]"
        match part:
            case str():
                texts.append(part)
            case {"type": "text", "text": str(text)}:
                texts.append(text)
            case {"type": "image_url", "image_url": {"url": str(url)} | str(url)}:
                refs.append(PictureRef(url, here, message, first + len(refs)))
            case _:
                _wrong(here, "a text or a picture")
    return "\n".join(texts), tuple(refs)


def _tools(raw: Any) -> tuple[Tool, ...]:
    if raw is None:
        return ()
    if not isinstance(raw, list):
        _wrong("tools", "an array")
    return tuple(_tool(each, f"tools[{at}].function") for at, each in enumerate(raw))


def _tool(raw: Any, place: str) -> Tool:
    function = raw.get("function") if isinstance(raw, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        _wrong(place, "an object with a name")
    schema = function.get("parameters")
    return Tool(
        function["name"],
        schema if isinstance(schema, dict) else {"type": "object"},
        str(function.get("description") or ""),
    )


def _arguments(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _wrong(place: str, wanted: str) -> NoReturn:
    raise WrongType(f"{place} must be {wanted}", param=place)


def _refuse(error: ValidationError) -> NoReturn:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(step) for step in first["loc"])
    if not place:
        raise WrongType("the body must be a JSON object")
    raise WrongType(f"{place}: {first['msg']}", param=place)
