"""From the items of the Responses to conversations."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.test_chat_translation import JSON_VALUES

from ocelli.api.responses import mapping
from ocelli.api.responses.answers import Draft
from ocelli.api.responses.errors import described
from ocelli.api.responses.schemas import ResponseRequest
from ocelli.domain.chat import (
    Conversation,
    Detail,
    Finish,
    Format,
    PictureRef,
    ToolInvocation,
    WholeAnswer,
)
from ocelli.domain.chat_errors import ChatError, UnsupportedParameter

FIELDS = [*ResponseRequest.model_fields, "reasoning", "include"]


def read(input: Any, before: list[Any] | None = None, **more: Any) -> Conversation:
    request = mapping.parse(json.dumps({"model": "m", "input": input, **more}).encode())
    items = [*(before or []), *mapping.items_of(request)]
    return mapping.conversation(request, items, len(before or []), model="m")


def picture(url: str = "data:,x", **more: Any) -> dict[str, Any]:
    return {"type": "input_image", "image_url": url, **more}


def test_messages_and_pictures() -> None:
    text = {"type": "input_text", "text": "And?"}
    asked = read(
        [
            {"role": "developer", "content": "Be brief."},
            {"type": "message", "role": "user", "content": [picture(detail="original"), text]},
            {"role": "assistant", "content": [{"type": "output_text", "text": "A cat."}]},
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"role": "user", "content": "Sure?"},
        ],
        instructions="In English.",
        max_output_tokens=20.0,
        top_p=1,
    )
    roles = [each.role for each in asked.messages]
    assert roles == ["system", "developer", "user", "assistant", "user"]
    (shown,) = asked.pictures
    assert (shown.param, shown.message, shown.part) == ("input[1].content[0].image_url", 2, 0)
    assert shown.detail is Detail.HIGH
    assert (asked.max_tokens, asked.sampling) == (20, {"top_p": 1})
    assert read("Hello").question == "Hello"


def test_calls_of_one_answer_are_one_message() -> None:
    call = {"type": "function_call", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "output": [picture()]}
    asked = read(
        [{**output, "call_id": "a"}, {**output, "call_id": "b"}, {"role": "user", "content": "?"}],
        before=[
            {"role": "user", "content": [picture("data:,first")]},
            {**call, "call_id": "a"},
            {**call, "call_id": "b"},
        ],
    )
    roles = [each.role for each in asked.messages]
    assert roles == ["user", "assistant", "tool", "tool", "user", "user"]
    assert asked.messages[1].calls == (
        ToolInvocation("a", "f", "{}"),
        ToolInvocation("b", "f", "{}"),
    )
    assert [each.param for each in asked.pictures] == [
        "previous_response_id.content[0].image_url",
        "input[0].output[0].image_url",
        "input[1].output[0].image_url",
    ]
    assert [(each.message, each.part) for each in asked.pictures] == [(0, 0), (4, 0), (4, 1)]


def test_forms_and_functions() -> None:
    form = {"type": "json_schema", "name": "cat", "schema": {"type": "object"}, "strict": True}
    functions = [{"type": "function", "name": name, "strict": True} for name in "ab"]
    asked = read("x", text={"format": form}, tools=functions, tool_choice="required")
    assert (asked.format, asked.schema, asked.schema_name) == (
        Format.JSON_SCHEMA,
        {"type": "object"},
        "cat",
    )
    assert [each.name for each in asked.tools] == ["a", "b"]
    assert asked.demanding == ()
    allowed: dict[str, Any] = {"type": "allowed_tools", "tools": [functions[1]], "mode": "auto"}
    chosen = read("x", tools=functions, tool_choice=allowed)
    assert [each.name for each in chosen.offered] == ["b"]
    assert chosen.demanding == ("tools",)
    assert [each.name for each in read("x", tools=functions, tool_choice="none").offered] == []
    assert read("x", tools=functions).demanding == ("tools",)


@pytest.mark.parametrize("odd", [{}, [], [None], {"a": 1}])
def test_lists_and_objects_where_texts_belong(odd: Any) -> None:
    with pytest.raises(ChatError, match="Invalid value"):
        read([{"role": "user", "content": [{"type": odd}]}])
    tools = [{"type": "function", "name": "a"}]
    with pytest.raises(ChatError, match="no such tool"):
        read("x", tools=tools, tool_choice={"type": "allowed_tools", "tools": [{"name": odd}]})


ITEM_FIELDS = ("content", "call_id", "name", "arguments", "output", "id")
PARTS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["input_text", "input_image", "output_text", "input_file"])
        | JSON_VALUES
    },
    optional={"text": JSON_VALUES, "image_url": JSON_VALUES, "file_id": JSON_VALUES},
)
ITEMS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["message", "function_call", "function_call_output", "reasoning"])
        | JSON_VALUES,
        "role": st.sampled_from([*mapping.ROLES]) | JSON_VALUES,
        **{name: st.lists(PARTS, max_size=3) | JSON_VALUES for name in ITEM_FIELDS},
    },
)


@given(st.lists(ITEMS | JSON_VALUES, max_size=5), st.lists(ITEMS, max_size=2))
def test_any_items_are_read_or_refused(items: list[Any], before: list[Any]) -> None:
    for item in items:
        mapping.reference(item)
    try:
        asked = read(items, before)
    except ChatError as error:
        assert error.status == 400
        return
    for shown in asked.pictures:
        assert asked.messages[shown.message].parts[shown.part] is shown
        assert isinstance(shown, PictureRef)


@given(st.dictionaries(st.sampled_from(FIELDS), JSON_VALUES))
def test_any_body_is_read_or_refused(fields: dict[str, Any]) -> None:
    try:
        request = mapping.parse(json.dumps({"model": "m", "input": "x", **fields}).encode())
        asked = mapping.conversation(request, mapping.items_of(request), 0, model="m")
    except ChatError as error:
        assert error.status == 400
        return
    body = Draft(request, store=True).done(WholeAnswer("m", "x", Finish.STOP))
    assert json.loads(json.dumps(body))["output"]
    assert asked.messages


@given(st.text(max_size=60) | st.from_regex(r"(resp|msg|fc|in)_[0-9a-f]{32}(_\d)?", fullmatch=True))
def test_ids(text: str) -> None:
    for read_id in (mapping.response_id, mapping.response_of):
        found = read_id(text)
        assert found is None or found.hex in text


def test_ids_lead_back_to_their_answer() -> None:
    request = mapping.parse(b'{"model": "m", "input": "x"}')
    draft = Draft(request, store=True, id=uuid.uuid4())
    calls = (ToolInvocation("", "f", "{}"), ToolInvocation("x", "g", "{}"))
    body = draft.done(WholeAnswer("m", "said", Finish.TOOL_CALLS, calls))
    assert mapping.response_id(body["id"]) == draft.id
    assert [mapping.response_of(item["id"]) for item in body["output"]] == [draft.id] * 3
    assert len({item["id"] for item in body["output"]}) == 3
    assert [item.get("call_id") for item in body["output"]][2] == "x"
    assert mapping.response_of(f"in_{draft.id.hex}_{'9' * 5_000}") is None


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"3", b"null", b"\xff", b"{}"])
def test_what_is_no_request(raw: bytes) -> None:
    with pytest.raises(ChatError):
        mapping.parse(raw)


def test_errors_have_the_names_of_here() -> None:
    _, body, _ = described(
        UnsupportedParameter("'response_format' is not", param="response_format")
    )
    assert (body.message, body.param) == ("'text.format' is not", "text.format")
