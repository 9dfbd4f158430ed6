"""From the items of a request to a conversation. What is wrong is named by its place."""

from __future__ import annotations

import re
from typing import Any, NoReturn
from uuid import UUID

from pydantic import ValidationError

from ocelli.api import json_reader
from ocelli.api.answer_formats import PLAIN, AnswerFormat, answer_format
from ocelli.api.responses.schemas import ResponseRequest
from ocelli.domain.chat import (
    ChatMessage,
    Conversation,
    Detail,
    PictureRef,
    Tool,
    ToolInvocation,
)
from ocelli.domain.chat_errors import (
    InvalidJson,
    InvalidValue,
    MissingParameter,
    UnsupportedParameter,
    WrongType,
)

MAX_ITEMS = 10_000
ROLES = ("user", "assistant", "system", "developer")

_RESPONSE_ID = re.compile(r"resp_([0-9a-f]{32})")
_ITEM_ID = re.compile(r"(?:msg|fc|in)_([0-9a-f]{32})(?:_[0-9]{1,9})?")
_DETAILS = {"low": Detail.LOW, "high": Detail.HIGH, "original": Detail.HIGH}
_NOT_HERE = ("conversation", "prompt", "background")
_SAID = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}


def parse(raw: bytes) -> ResponseRequest:
    """A body. Blocks. Raises ChatError for the first thing that is wrong."""
    try:
        value = json_reader.parse(raw)
    except ValueError as error:
        raise InvalidJson(f"We could not parse the JSON body of your request: {error}") from error
    if not isinstance(value, dict):
        raise WrongType("The body must be a JSON object.")
    value = {name: each for name, each in value.items() if each is not None}
    try:
        request = ResponseRequest.model_validate(value)
    except ValidationError as error:
        _refuse(error)
    for name in _NOT_HERE:
        if getattr(request, name):
            raise UnsupportedParameter(f"'{name}' is not supported here.", param=name)
    return request


def items_of(request: ResponseRequest) -> list[Any]:
    """The items that are new in a request: a text is a message of the user. Raises ChatError."""
    if isinstance(request.input, str):
        return [{"type": "message", "role": "user", "content": request.input}]
    if not isinstance(request.input, list):
        _wrong("input", "a string or an array")
    if not request.input:
        raise InvalidValue("'input' is empty: at least one item is needed.", param="input")
    if len(request.input) > MAX_ITEMS:
        raise InvalidValue(f"More than {MAX_ITEMS} items.", param="input")
    return request.input


def response_id(text: str) -> UUID | None:
    """None if it was never one of ours."""
    match = _RESPONSE_ID.fullmatch(text)
    return UUID(match[1]) if match else None


def reference(item: Any) -> str | None:
    """Which item it refers to, if it does."""
    if not isinstance(item, dict) or item.get("type", "item_reference") != "item_reference":
        return None
    if "type" not in item and item.keys() != {"id"}:
        return None
    id = item.get("id")
    return id if isinstance(id, str) else ""


def response_of(item_id: str) -> UUID | None:
    """The answer that an item belongs to."""
    match = _ITEM_ID.fullmatch(item_id)
    return UUID(match[1]) if match else None


def conversation(
    request: ResponseRequest, items: list[Any], first_new: int, *, model: str
) -> Conversation:
    """Of all ``items``; those from ``first_new`` on are the request's. Raises ChatError."""
    format, schema, name = _format(request.text)
    offered, forced = _tools(request)
    reader = _Items(request.instructions, first_new)
    for index, item in enumerate(items):
        reader.read(item, index)
    demanding = (("tools", offered and not forced), ("top_logprobs", request.top_logprobs))
    sampling = {
        field: value
        for field in ("temperature", "top_p")
        if (value := getattr(request, field)) is not None
    }
    limit = request.max_output_tokens
    return Conversation(
        model=model,
        messages=reader.messages(),
        max_tokens=None if limit is None else int(min(limit, 1e9)),
        format=format,
        schema=schema,
        schema_name=name,
        demanding=tuple(name for name, is_asked in demanding if is_asked),
        tools=forced,
        offered=offered,
        sampling=sampling,
    )


class _Items:
    """Messages, from items one by one.

    Chat completions want the calls of one answer in one message, and no pictures in what a tool
    answers: those follow in a message of the user.
    """

    def __init__(self, instructions: str | None, first_new: int) -> None:
        self._messages: list[ChatMessage] = []
        self._first_new = first_new
        self._waiting: list[tuple[str, str, Detail]] = []  # pictures that tools have answered
        if instructions:
            self._messages.append(ChatMessage("system", (instructions,)))

    def messages(self) -> tuple[ChatMessage, ...]:
        self._show()
        return tuple(self._messages)

    def read(self, item: Any, index: int) -> None:
        new = index - self._first_new
        place = f"input[{new}]" if new >= 0 else "previous_response_id"
        if not isinstance(item, dict):
            _wrong(place, "an object")
        kind = item.get("type") or "message"
        if kind == "function_call_output":
            self._output(item, place)
            return
        self._show()
        match kind:
            case "message":
                self._message(item, place)
            case "function_call":
                self._call(item, place)
            case "reasoning":
                pass
            case _:
                raise InvalidValue(
                    f"Invalid value: {str(kind)[:40]!r}. Supported values are: 'message', "
                    "'function_call', 'function_call_output', 'item_reference' and 'reasoning'.",
                    param=f"{place}.type",
                )

    def _message(self, item: dict[str, Any], place: str) -> None:
        role, content = item.get("role"), item.get("content")
        if role not in ROLES:
            raise InvalidValue(
                f"Invalid value: {str(role)[:40]!r}. Supported values are: "
                f"{', '.join(map(repr, ROLES))}.",
                param=f"{place}.role",
            )
        texts, pictures = self._content(content, f"{place}.content", keep_order=True)
        if pictures and role != "user":
            raise InvalidValue(
                "Images are only allowed in messages with the role 'user'.",
                param=f"{place}.content",
            )
        self._messages.append(ChatMessage(role, tuple(texts)))

    def _content(
        self, content: Any, place: str, *, keep_order: bool
    ) -> tuple[list[str | PictureRef], list[tuple[str, str, Detail]]]:
        if isinstance(content, str):
            return [content], []
        if not isinstance(content, list):
            if content is None:
                raise MissingParameter(f"Missing required parameter: '{place}'.", param=place)
            _wrong(place, "a string or an array")
        parts: list[str | PictureRef] = []
        pictures = []
        for at, part in enumerate(content):
            here = f"{place}[{at}]"
            read = _part(part, here)
            if isinstance(read, str):
                parts.append(read)
                continue
            pictures.append(read)
            if keep_order:
                url, param, detail = read
                parts.append(PictureRef(url, param, len(self._messages), len(parts), detail))
        return parts, pictures

    def _call(self, item: dict[str, Any], place: str) -> None:
        fields = {}
        for name in ("call_id", "name", "arguments"):
            if not isinstance(item.get(name), str):
                _wrong(f"{place}.{name}", "a string")
            fields[name] = item[name]
        call = ToolInvocation(fields["call_id"], fields["name"], fields["arguments"])
        last = self._messages[-1] if self._messages else None
        if last is not None and last.role == "assistant":
            self._messages[-1] = ChatMessage("assistant", last.parts, (*last.calls, call))
        else:
            self._messages.append(ChatMessage("assistant", (), (call,)))

    def _output(self, item: dict[str, Any], place: str) -> None:
        call_id = item.get("call_id")
        if not isinstance(call_id, str):
            _wrong(f"{place}.call_id", "a string")
        texts, pictures = self._content(item.get("output"), f"{place}.output", keep_order=False)
        self._messages.append(ChatMessage("tool", tuple(texts), call_id=call_id))
        self._waiting += pictures

    def _show(self) -> None:
        if self._waiting:
            at = len(self._messages)
            refs = tuple(
                PictureRef(url, param, at, part, detail)
                for part, (url, param, detail) in enumerate(self._waiting)
            )
            self._messages.append(ChatMessage("user", refs))
            self._waiting = []


def _part(part: Any, place: str) -> str | tuple[str, str, Detail]:
    """What it says, or the picture that it shows: its address, the path of that, its detail."""
    if not isinstance(part, dict):
        _wrong(place, "an object")
    kind = part.get("type")
    if isinstance(kind, str) and kind in _SAID:
        text = part.get(_SAID[kind])
        if not isinstance(text, str):
            _wrong(f"{place}.{_SAID[kind]}", "a string")
        return text
    if kind == "input_image":
        if part.get("file_id") and not part.get("image_url"):
            raise UnsupportedParameter(
                "Files cannot be uploaded here: send 'image_url'.", param=f"{place}.file_id"
            )
        url = part.get("image_url")
        if isinstance(url, dict):  # as in chat completions
            url = url.get("url")
        if not isinstance(url, str):
            _wrong(f"{place}.image_url", "a string")
        detail = _DETAILS.get(str(part.get("detail")), Detail.AUTO)
        return url.strip(), f"{place}.image_url", detail
    if kind == "input_file":
        raise UnsupportedParameter("Only pictures are read here.", param=f"{place}.type")
    raise InvalidValue(
        f"Invalid value: {str(kind)[:40]!r}. Supported values are: 'input_text', 'input_image' "
        "and 'output_text'.",
        param=f"{place}.type",
    )


def _format(text: Any) -> AnswerFormat:
    if text is None:
        return PLAIN
    if not isinstance(text, dict):
        _wrong("text", "an object")
    form = text.get("format")
    if form is None:
        return PLAIN
    if not isinstance(form, dict):
        _wrong("text.format", "an object")
    return answer_format(form, "text.format")


def _tools(request: ResponseRequest) -> tuple[tuple[Tool, ...], tuple[Tool, ...]]:
    """All that may be called, and those of which one must be."""
    raw = request.tools or []
    if not isinstance(raw, list):
        _wrong("tools", "an array")
    tools = tuple(_tool(each, f"tools[{at}]") for at, each in enumerate(raw))
    match request.tool_choice:
        case None | "auto":
            return tools, ()
        case "none":
            return (), ()
        case "required" | "any":
            return tools, _chosen(tools, None)
        case {"type": "function", "name": str(name)}:
            return tools, _chosen(tools, {name})
        case {"type": "allowed_tools", "tools": list(allowed), **more}:
            names = {str(each.get("name")) for each in allowed if isinstance(each, dict)}
            left = _chosen(tools, names)
            return left, left if more.get("mode") == "required" else ()
    raise InvalidValue(
        "Supported values are: 'none', 'auto', 'required', and a function by its name.",
        param="tool_choice",
    )


def _chosen(tools: tuple[Tool, ...], names: set[str] | None) -> tuple[Tool, ...]:
    chosen = tuple(tool for tool in tools if names is None or tool.name in names)
    if not chosen:
        raise InvalidValue("There is no such tool in 'tools'.", param="tool_choice")
    return chosen


def _tool(raw: Any, place: str) -> Tool:
    if not isinstance(raw, dict):
        _wrong(place, "an object")
    if raw.get("type", "function") != "function":
        raise UnsupportedParameter(
            f"Only functions are supported here, not {str(raw.get('type'))[:40]!r}.",
            param=f"{place}.type",
        )
    name, schema, strict = raw.get("name"), raw.get("parameters"), raw.get("strict")
    if not isinstance(name, str):
        _wrong(f"{place}.name", "a string")
    if schema is not None and not isinstance(schema, dict):
        _wrong(f"{place}.parameters", "an object")
    return Tool(
        name,
        {"type": "object", **(schema or {})},
        str(raw.get("description") or ""),
        strict if isinstance(strict, bool) else None,
    )


def _wrong(place: str, wanted: str) -> NoReturn:
    raise WrongType(f"Invalid type for '{place}': expected {wanted}.", param=place)


def _refuse(error: ValidationError) -> NoReturn:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(step)[:100] for step in first["loc"])
    if first["type"] == "missing":
        raise MissingParameter(f"Missing required parameter: '{place}'.", param=place)
    kind = WrongType if first["type"].endswith("_type") else InvalidValue
    raise kind(f"Invalid value for '{place}': {first['msg']}.", param=place)
