"""Between conversations and chat completions, the one language that all backends speak. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ocelli.domain.chat import (
    Finish,
    Format,
    Piece,
    ToolInvocation,
    WholeAnswer,
    told_tokens,
)
from ocelli.domain.chat_errors import UpstreamFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ocelli.domain.chat import ChatMessage, Conversation, PictureRef, Tool

_DATA = b"data: "


def request_of(conversation: Conversation) -> dict[str, Any]:
    """The request for a backend, without its model's own name."""
    fields: dict[str, Any] = {
        "model": conversation.model,
        "messages": [_message(each) for each in conversation.messages],
        **conversation.sampling,
    }
    if conversation.max_tokens is not None:
        fields["max_tokens"] = conversation.max_tokens
    if conversation.stop:
        fields["stop"] = list(conversation.stop)
    if conversation.format is Format.JSON_OBJECT:
        fields["response_format"] = {"type": "json_object"}
    elif conversation.format is Format.JSON_SCHEMA:
        form = {"name": conversation.schema_name or "answer", "schema": conversation.schema}
        fields["response_format"] = {"type": "json_schema", "json_schema": form}
    if conversation.offered:
        fields["tools"] = [_tool(each) for each in conversation.offered]
    if conversation.tools:
        named = len(conversation.tools) == 1
        function = {"name": conversation.tools[0].name}
        fields["tool_choice"] = {"type": "function", "function": function} if named else "required"
    if conversation.stream:
        fields["stream"] = True
        fields["stream_options"] = {"include_usage": True}
    return fields


def answer_of(value: Mapping[str, Any]) -> WholeAnswer:
    """A whole completion. Raises UpstreamFailed for one that cannot be understood."""
    reader = AnswerReader()
    choice = _first(value.get("choices"))
    message = choice.get("message")
    reader.take(value, choice, message if isinstance(message, dict) else {})
    return reader.answer()


class AnswerReader:
    """What a streamed completion comes to."""

    def __init__(self) -> None:
        self._model = ""
        self._text: list[str] = []
        self._thoughts: list[str] = []
        self._calls: dict[int, dict[str, str]] = {}
        self._finish = Finish.STOP
        self._usage: dict[str, Any] = {}

    def feed(self, events: bytes) -> Iterator[Piece]:
        """Whole events as a backend sends them (see ports_chat.ChatReply)."""
        for line in events.split(b"\n"):
            if not line.startswith(_DATA) or line == b"data: [DONE]":
                continue
            value = json.loads(line[len(_DATA) :])
            if not isinstance(value, dict):
                continue
            choice = _first(value.get("choices"))
            delta = choice.get("delta")
            piece = self.take(value, choice, delta if isinstance(delta, dict) else {})
            if piece.text or piece.thought:
                yield piece

    def take(
        self, value: Mapping[str, Any], choice: Mapping[str, Any], message: Mapping[str, Any]
    ) -> Piece:
        """Note what is new in a chunk or in a completion; the part of it that is written."""
        piece = Piece(
            _said(message.get("content")) or _said(message.get("refusal")),
            _said(message.get("reasoning_content") or message.get("reasoning")),
        )
        self._text.append(piece.text)
        self._thoughts.append(piece.thought)
        self._model = _said(value.get("model")) or self._model
        calls = message.get("tool_calls")
        for at, call in enumerate(calls if isinstance(calls, list) else ()):
            self._call(at, call)
        match choice.get("finish_reason"):
            case "length":
                self._finish = Finish.LENGTH
            case "tool_calls" | "function_call":
                self._finish = Finish.TOOL_CALLS
        if isinstance(value.get("usage"), dict):
            self._usage = value["usage"]
        return piece

    def answer(self) -> WholeAnswer:
        """All of it. Raises UpstreamFailed for arguments of a call that are no JSON object."""
        calls = tuple(self._called(self._calls[at]) for at in sorted(self._calls))
        return WholeAnswer(
            self._model,
            "".join(self._text),
            self._finish,
            calls,
            "".join(self._thoughts),
            told_tokens(self._usage.get("prompt_tokens")),
            told_tokens(self._usage.get("completion_tokens")),
        )

    def _call(self, at: int, call: Any) -> None:
        """A call comes whole, or name first and then its arguments in pieces."""
        if not isinstance(call, dict):
            return
        function = call.get("function")
        function = function if isinstance(function, dict) else {}
        index = call.get("index")
        known = self._calls.setdefault(
            index if isinstance(index, int) else at, {"id": "", "name": "", "arguments": ""}
        )
        known["id"] = known["id"] or _said(call.get("id"))
        known["name"] += _said(function.get("name"))
        arguments = function.get("arguments")
        known["arguments"] += (
            json.dumps(arguments) if isinstance(arguments, dict) else _said(arguments)
        )

    def _called(self, call: Mapping[str, str]) -> ToolInvocation:
        arguments = call["arguments"] or "{}"
        if self._finish is not Finish.LENGTH:
            try:
                is_object = isinstance(json.loads(arguments), dict)
            except ValueError:
                is_object = False
            if not is_object:
                raise UpstreamFailed(
                    f"The backend called {call['name'][:100]!r} with arguments that are no JSON "
                    "object."
                )
        return ToolInvocation(call["id"], call["name"], arguments)


def _message(message: ChatMessage) -> dict[str, Any]:
    fields: dict[str, Any] = {"role": message.role}
    if any(not isinstance(part, str) for part in message.parts):
        fields["content"] = [_part(part) for part in message.parts]
    else:
        fields["content"] = message.text if message.parts or not message.calls else None
    if message.calls:
        fields["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.calls
        ]
    if message.call_id:
        fields["tool_call_id"] = message.call_id
    return fields


def _part(part: str | PictureRef) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    address: dict[str, Any] = {"url": part.url}
    if part.detail != "auto":
        address["detail"] = part.detail
    return {"type": "image_url", "image_url": address}


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "parameters": dict(tool.schema)}
    if tool.description:
        function["description"] = tool.description
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _first(choices: Any) -> dict[str, Any]:
    """Of a list of choices; the last chunk of a stream has none."""
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def _said(value: Any) -> str:
    """A text, which some servers give as a list of parts."""
    if isinstance(value, list):
        return "".join(_said(part.get("text")) for part in value if isinstance(part, dict))
    return value if isinstance(value, str) else ""
