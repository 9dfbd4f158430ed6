"""Between conversations and chat completions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocelli.domain.chat import (
    ChatMessage,
    Conversation,
    Detail,
    Finish,
    Format,
    PictureRef,
    Tool,
    ToolInvocation,
)
from ocelli.domain.chat_errors import UpstreamFailed
from ocelli.usecases.chat_translation import AnswerReader, answer_of, request_of

JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)


def event(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"model": "up", "choices": [choice], **more}).encode() + b"\n\n"


def test_a_request_has_everything() -> None:
    picture = PictureRef("data:,x", "images[0]", 1, 0, Detail.LOW)
    conversation = Conversation(
        "m",
        (
            ChatMessage("system", ("Be brief.",)),
            ChatMessage("user", (picture, "What is it?")),
            ChatMessage("assistant", (), (ToolInvocation("c1", "look", "{}"),)),
            ChatMessage("tool", ("a cat",), call_id="c1"),
        ),
        max_tokens=9,
        stop=("END",),
        stream=True,
        format=Format.JSON_SCHEMA,
        schema={"type": "object"},
        schema_name="cat",
        tools=(Tool("look", {"type": "object"}, "Looks.", strict=True),),
        offered=(Tool("look", {"type": "object"}, "Looks.", strict=True),),
        sampling={"temperature": 0.5},
    )
    body = request_of(conversation)
    assert body["messages"][1]["content"] == [
        {"type": "image_url", "image_url": {"url": "data:,x", "detail": "low"}},
        {"type": "text", "text": "What is it?"},
    ]
    assert body["messages"][2]["content"] is None
    assert body["messages"][2]["tool_calls"][0]["function"] == {"name": "look", "arguments": "{}"}
    assert body["messages"][3] == {"role": "tool", "content": "a cat", "tool_call_id": "c1"}
    assert body["tool_choice"] == {"type": "function", "function": {"name": "look"}}
    assert body["tools"][0]["function"]["strict"] is True
    assert body["response_format"]["json_schema"] == {"name": "cat", "schema": {"type": "object"}}
    assert (body["max_tokens"], body["stop"], body["temperature"]) == (9, ["END"], 0.5)
    assert body["stream_options"] == {"include_usage": True}


@given(st.lists(st.text(max_size=5)), st.integers(0, 40))
def test_a_stream_comes_to_what_a_whole_answer_is(words: list[str], cut: int) -> None:
    events = b"".join(event({"content": word}) for word in words) + event({}, "length")
    events += b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}\n\n'
    reader = AnswerReader()
    split = events.find(b"data: ", cut)  # pieces hold whole events, often several
    heard = [piece for part in (events[:split], events[split:]) for piece in reader.feed(part)]
    answer = reader.answer()
    assert "".join(piece.text for piece in heard) == answer.text == "".join(words)
    message = {"role": "assistant", "content": "".join(words)}
    choice = {"message": message, "finish_reason": "length"}
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    assert answer == answer_of({"model": "up", "choices": [choice], "usage": usage})
    assert answer.finish is Finish.LENGTH


def test_calls_come_in_pieces() -> None:
    reader = AnswerReader()
    first = {"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"a"'}}
    more = {"index": 0, "function": {"arguments": ": 1}"}}
    events = (
        event({"tool_calls": [first]}) + event({"tool_calls": [more]}) + event({}, "tool_calls")
    )
    assert list(reader.feed(events + b"data: [DONE]\n\n")) == []
    assert reader.answer().calls == (ToolInvocation("c", "f", '{"a": 1}'),)
    assert reader.answer().finish is Finish.TOOL_CALLS


def test_thoughts_are_no_answer() -> None:
    message = {"content": "A cat.", "reasoning_content": "Fur, so ..."}
    answer = answer_of({"choices": [{"message": message, "finish_reason": "stop"}]})
    assert (answer.text, answer.thought) == ("A cat.", "Fur, so ...")


def test_arguments_that_are_no_json() -> None:
    call = {"function": {"name": "f", "arguments": "{"}}
    choice: dict[str, Any] = {"message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}
    with pytest.raises(UpstreamFailed):
        answer_of({"choices": [choice]})
    choice["finish_reason"] = "length"
    assert answer_of({"choices": [choice]}).calls[0].arguments == "{"


@given(st.dictionaries(st.sampled_from(["choices", "usage", "model"]), JSON_VALUES), JSON_VALUES)
def test_whatever_a_backend_sends(value: dict[str, Any], inner: Any) -> None:
    for message in (inner, {"content": inner, "tool_calls": inner, "reasoning": inner}):
        choice = {"message": message, "delta": message, "finish_reason": inner}
        for completion in (value, {**value, "choices": [choice]}, {**value, "choices": [inner]}):
            line = b"data: " + json.dumps(completion).encode() + b"\n\n"
            try:
                answer_of(completion)
                reader = AnswerReader()
                list(reader.feed(line))
                reader.answer()
            except UpstreamFailed:
                pass
