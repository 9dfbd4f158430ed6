"""The arithmetic of conversations: tokens, cuts, renaming, data URLs, forms."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocelli.backends.local.conversation.facts import PictureFacts
from ocelli.backends.local.conversation.json_schemas import check_schema, validate
from ocelli.backends.local.conversation.structured_output import everything, fill
from ocelli.domain.chat import Detail, Finish, count_picture, cut, tokens
from ocelli.domain.chat_errors import InvalidSchema, UnsupportedParameter
from ocelli.domain.findings import (
    Box,
    Color,
    DetectedObject,
    Findings,
    Safety,
    SceneLabel,
    Tag,
    TextLine,
)
from ocelli.media.data_url import NotBase64, decode_data_url
from ocelli.usecases.chat_relay import renamed

BOX = Box(0.1, 0.1, 0.5, 0.5)
FOUND = Findings(
    "ocelli-local",
    "1",
    objects=(DetectedObject("cup", 0.9, BOX), DetectedObject("cup", 0.8, BOX)),
    scenes=(SceneLabel("restaurant", 0.7),),
    texts=(TextLine("OPEN", 0.9, BOX), TextLine("24 h", 0.9, BOX)),
    colors=(Color("#ff0000", "red", 0.6),),
    tags=(Tag("cup", 0.9), Tag("coffee", 0.5)),
    safety=Safety(0.02),
    description="Two cups. Red.",
    confidence=0.8,
)
SEEN = [PictureFacts(FOUND, "a", None, 10, 10)]


@given(st.text())
def test_tokens_are_the_text(text: str) -> None:
    assert "".join(tokens(text)) == text


@given(st.text(), st.integers(1, 20), st.text(min_size=1, max_size=3))
def test_a_cut_keeps_its_word(text: str, most: int, stop: str) -> None:
    said, finish, count = cut(text, stop=(stop,), max_tokens=most)
    assert text.startswith(said)
    assert stop not in said
    assert count == len(list(tokens(said))) <= most
    assert (finish is Finish.LENGTH) == (said != text.partition(stop)[0])


def test_what_a_picture_counts() -> None:
    assert count_picture(1024, 1024, Detail.HIGH) == 765
    assert count_picture(2048, 4096, Detail.AUTO) == 1105
    assert count_picture(8000, 6000, Detail.LOW) == 85
    assert count_picture(1, 30_000, Detail.AUTO) <= 85 + 170 * 4


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model":"a","x":1.0}', b'{"model":"b/c","x":1.0}'),
        (b'{ "x": {}, "model" : "a" }', b'{ "x": {}, "model" : "b/c" }'),
        (b'{"x":"\\"model\\":\\"a\\"","model":"a"}', b'{"x":"\\"model\\":\\"a\\"","model":"b/c"}'),
        (b'{"metadata":{"model":"a"},"model":"a"}', None),
        (b'{"mod\\u0065l":"a"}', None),
        (b'{"model":"\\u0061"}', None),
    ],
)
def test_renaming_touches_nothing_else(body: bytes, expected: bytes | None) -> None:
    assert renamed(body, "a", "b/c") == expected


@given(st.binary())
def test_data_urls(data: bytes) -> None:
    text = base64.urlsafe_b64encode(data).decode().rstrip("=")
    assert decode_data_url(f"data:;base64,{text}") == data
    assert decode_data_url(f"data:image/png;a=b;base64, {text}\n") == data


@given(st.text())
def test_other_data_urls_are_refused_or_read(text: str) -> None:
    with contextlib.suppress(NotBase64):
        assert isinstance(decode_data_url(f"data:{text}"), bytes)


def form(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), **more}


STRING, STRINGS = {"type": "string"}, {"type": "array", "items": {"type": "string"}}
WHOLE, TRUTH = {"type": "integer"}, {"type": "boolean"}


@pytest.mark.parametrize(
    ("name", "schema", "value"),
    [
        ("description", STRING, "Two cups. Red."),
        ("altText", STRING, "Two cups. Red."),
        ("answer", STRING, "It is so."),
        ("visible_text", STRING, "OPEN\n24 h"),
        ("texts", STRINGS, ["OPEN", "24 h"]),
        ("Tags", STRINGS, ["cup", "coffee"]),
        ("objects", STRINGS, ["cup"]),
        ("colors", STRINGS, ["red"]),
        ("dominantColor", STRING, "red"),
        ("count", WHOLE, 2),
        ("numberOfCups", WHOLE, 2),
        ("people_count", WHOLE, 0),
        ("has_text", TRUTH, True),
        ("contains_cup", TRUTH, True),
        ("isSafe", TRUTH, True),
        ("nsfw", {"type": "number"}, 0.02),
        ("confidence", {"type": "number"}, 0.8),
        ("setting", {"enum": ["outdoors", "restaurant"]}, "restaurant"),
        ("mood", {"type": ["string", "null"]}, None),
        ("mood", {"anyOf": [STRING, {"type": "null"}]}, None),
        ("kind", {"const": "photo"}, "photo"),
        ("objects", {"type": "array", "items": form({"label": STRING, "count": WHOLE})},
         [{"label": "cup", "count": 2}]),
        ("palette", {"type": "array", "items": form({"hex": STRING, "name": STRING})},
         [{"hex": "#ff0000", "name": "red"}]),
        ("tasks", {"type": "array", "items": form({"description": STRING, "has_text": TRUTH})},
         [{"description": "Two cups. Red.", "has_text": True}]),
    ],
)  # fmt: skip
def test_forms_are_filled_by_name(name: str, schema: Any, value: Any) -> None:
    whole = form({name: schema}, additionalProperties=False)
    check_schema(whole, "x")
    filled = fill(whole, "It is so.", SEEN)
    assert filled == {name: value}
    validate(filled, whole)


def test_references_and_several_pictures() -> None:
    schema = form({"images": {"type": "array", "items": {"$ref": "#/$defs/Image"}}})
    schema["$defs"] = {"Image": form({"description": STRING})}
    filled = fill(schema, "", [*SEEN, *SEEN])
    assert filled == {"images": [{"description": "Two cups. Red."}] * 2}


@pytest.mark.parametrize(
    "schema",
    [
        form({"photographer": STRING}),
        form({"has_unicorn": TRUTH}),
        form({"tasks": {"type": "array", "items": form({"description": STRING, "due": STRING})}}),
        form({"dogs_count": WHOLE}),
        {"type": "string", "enum": ["x"]},
        form({"description": {"type": "string", "pattern": "(a+)+$"}}),
        form({"count": {"type": "integer", "minimum": 3}}),
    ],
)
def test_nothing_is_invented(schema: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedParameter, match="'response_format' of type 'json_schema' is"):
        check_schema(schema, "x")
        validate(fill(schema, "", SEEN), schema)


def doubling() -> dict[str, Any]:
    """2 to the 30th references in a few lines."""
    defs = {
        str(n): {"oneOf": [{"$ref": f"#/$defs/{n + 1}"}, {"$ref": f"#/$defs/{n + 1}"}]}
        for n in range(30)
    }
    return {"$defs": {**defs, "30": {"type": "object"}}, "$ref": "#/$defs/0"}


def looking_again() -> dict[str, Any]:
    """What the inner ones have looked at is found out by asking them twice at each step."""
    made: dict[str, Any] = {"type": "object"}
    for _ in range(19):
        made = {"anyOf": [made], "unevaluatedProperties": False}
    return made | {"type": "object", "properties": {}}


def repeating() -> dict[str, Any]:
    """A thousand properties for each thing that was found, for each of many lists."""
    item = {"$ref": "#/$defs/Item"}
    lists = {f"{n} objects": {"type": "array", "items": item} for n in range(400)}
    return {**form(lists), "$defs": {"Item": form({f"name {n}": STRING for n in range(400)})}}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": 7},
        looking_again(),
        repeating(),
        {"$ref": "#"},
        {"$ref": "http://10.0.0.1/schema.json"},
        {"$ref": "#/$defs/nowhere"},
        {"allOf": [{"$ref": "#"}]},
        doubling(),
        {"allOf": [doubling()], "$defs": doubling()["$defs"], "type": "object", "properties": {}},
        form({str(n): STRING for n in range(3000)}),
    ],
)
def test_schemas_that_would_harm_are_refused(schema: dict[str, Any]) -> None:
    with pytest.raises((InvalidSchema, UnsupportedParameter)):
        check_schema(schema, "x")
        validate(fill(schema, "", SEEN), schema)


def test_everything_is_json() -> None:
    one, two = everything("So.", SEEN), everything("So.", [*SEEN, *SEEN])
    assert json.loads(json.dumps(one))["text"] == "OPEN\n24 h"
    assert len(two["images"]) == 2
    assert everything("So.", []) == {"answer": "So."}
