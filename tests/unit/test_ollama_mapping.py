"""From Ollama's bodies to conversations."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.test_chat_translation import JSON_VALUES

from ocelli.api.ollama import mapping, models, paths, schemas, streaming
from ocelli.backends.local.embedder import MiniLmEmbedder
from ocelli.backends.local.runtime import Runtime
from ocelli.domain.analysis import VerificationLevel
from ocelli.domain.chat import Finish, Format, PictureRef, ToolInvocation, WholeAnswer
from ocelli.domain.chat_errors import ChatError, InvalidValue, ModelNotFound, WrongType
from ocelli.usecases.chat_models import ChatModels

PICTURE = base64.b64encode(b"\xff\xd8\xff\xe0 picture").decode()


def generation(**fields: Any) -> Any:
    body = json.dumps({"model": "m", **fields}).encode()
    return mapping.generation(mapping.parse(schemas.GenerateRequest, body), "m")


def conversation(*messages: Any, **fields: Any) -> Any:
    body = json.dumps({"model": "m", "messages": messages, **fields}).encode()
    return mapping.conversation(mapping.parse(schemas.OllamaChatRequest, body), "m")


def test_a_prompt_is_a_conversation_of_one_turn() -> None:
    asked = generation(
        prompt="What is it?",
        system="Be brief.",
        images=[PICTURE, f"data:image/png;base64,{PICTURE}"],
        suffix="",
        format="json",
        options={"num_predict": 7.0, "stop": "\n\n", "seed": None, "temperature": 0, "numa": True},
    )
    assert [each.role for each in asked.messages] == ["system", "user"]
    assert asked.instructions == "Be brief."
    assert asked.question == "What is it?"
    assert [(each.param, each.message, each.part) for each in asked.pictures] == [
        ("images[0]", 1, 0),
        ("images[1]", 1, 1),
    ]
    assert asked.pictures[0].url == f"data:;base64,{PICTURE}"
    assert asked.pictures[1].url == f"data:image/png;base64,{PICTURE}"
    assert (asked.max_tokens, asked.stop, asked.sampling) == (7, ("\n\n",), {"temperature": 0})
    assert asked.format is Format.JSON_OBJECT


def test_turns_with_pictures_and_tools() -> None:
    call = {"function": {"name": "light", "arguments": {"lamp": "desk"}}}
    asked = conversation(
        {"role": "User", "content": "Which lamp?", "images": [PICTURE]},
        {"role": "assistant", "tool_calls": [call, {**call, "id": "mine"}], "images": []},
        {"role": "tool", "content": "on", "tool_name": "light"},
        {"role": "tool", "content": "off", "tool_call_id": "mine", "images": None},
        {"role": "user", "content": [{"type": "text", "text": "And here?"}, "Look."]},
    )
    first, called, on, off, last = asked.messages
    assert isinstance(first.parts[0], PictureRef)
    assert first.parts[1] == "Which lamp?"
    assert called.calls == (
        ToolInvocation("call_1_0", "light", '{"lamp": "desk"}'),
        ToolInvocation("mine", "light", '{"lamp": "desk"}'),
    )
    assert (on.call_id, off.call_id) == ("call_1_0", "mine")
    assert last.text == "And here?\nLook."


@pytest.mark.parametrize(
    ("value", "unloads"),
    [
        *((None, False), (0, True), (0.0, True), ("0", True), ("0s", True), ("-1s", False)),
        *((5, False), ("1h30m", False), ("0h0m", True), ("5m", False), ("1.5h", False)),
        (-1, False),
    ],
)
def test_keep_alive(value: Any, unloads: bool) -> None:
    assert mapping.unloads(value) is unloads


@pytest.mark.parametrize("value", ["", "soon", "5 minutes", True, [], "5x"])
def test_what_is_no_duration(value: Any) -> None:
    with pytest.raises(ChatError):
        mapping.unloads(value)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"options": {"temperature": "hot"}}, 'option "temperature" must be of type float32'),
        ({"options": {"num_predict": True}}, 'option "num_predict" must be of type integer'),
        ({"options": {"stop": [1]}}, 'option "stop" must be of type array'),
        ({"options": []}, "options must be an object"),
        ({"format": "yaml"}, "invalid format: "),
        ({"format": 3}, "invalid format: "),
        ({"images": "x"}, "images must be an array"),
        ({"images": [3]}, r"images\[0\] must be a string"),
        ({"images": ["http://a/b.jpg"]}, "illegal base64 data at input byte 4"),
        ({"images": ["ab!"]}, "illegal base64 data at input byte 2"),
        ({"stream": "yes"}, "stream"),
        ({"suffix": "end"}, "does not support insert"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ChatError, match=said) as refused:
        generation(prompt="x", **fields)
    assert refused.value.status == 400


def test_an_empty_body_and_others() -> None:
    for body in (b"", b" ", b"{", b"[]", b"3", b'"x"', b"null", b"\xff"):
        with pytest.raises(ChatError):
            mapping.parse(schemas.GenerateRequest, body)


@given(
    st.dictionaries(
        st.sampled_from([*schemas.GenerateRequest.model_fields, "id", "context"]), JSON_VALUES
    )
)
def test_any_generate_body_is_read_or_refused(fields: dict[str, Any]) -> None:
    try:
        asked = mapping.parse(schemas.GenerateRequest, json.dumps(fields).encode())
        mapping.unloads(asked.keep_alive)
        mapping.generation(asked, "m")
    except ChatError as error:
        assert error.status == 400


MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["user", "assistant", "tool", "system"]) | JSON_VALUES,
        "content": JSON_VALUES,
        "images": st.lists(JSON_VALUES) | JSON_VALUES,
        "tool_calls": st.lists(JSON_VALUES) | JSON_VALUES,
        "tool_name": JSON_VALUES,
        "tool_call_id": JSON_VALUES,
    },
)


@given(st.lists(MESSAGES | JSON_VALUES), JSON_VALUES, st.lists(JSON_VALUES) | JSON_VALUES)
def test_any_chat_body_is_read_or_refused(messages: Any, format: Any, tools: Any) -> None:
    try:
        asked = conversation(*messages, format=format, tools=tools)
    except ChatError as error:
        assert error.status == 400
        return
    for picture in asked.pictures:
        assert asked.messages[picture.message].parts[picture.part] is picture


@given(st.text(alphabet="abcABC019+/=_- \n!,:é", min_size=1, max_size=30))
def test_pictures_are_base64_or_refused(text: str) -> None:
    try:
        asked = generation(prompt="x", images=[text])
    except (InvalidValue, WrongType):
        assert any(sign in "!,:é" for sign in text)
    else:
        assert asked.pictures[0].url.endswith(text)


EMBEDDER = MiniLmEmbedder(Runtime())


def test_names() -> None:
    known = ChatModels(
        NO_BACKENDS, default=None, aliases={"Vision:7b": "default", "a/b": "default"}, fallback=()
    )
    for name in ("ocelli-local", "ocelli-local:latest", "OCELLI-Local", "Ocelli-local:LATEST"):
        assert models.find(known, name).id == "ocelli-local"
    assert models.find(known, "vision:7B").id == "Vision:7b"
    for name in ("", "ocelli-local:7b", "vision", ":latest", "x" * 5000):
        with pytest.raises(ModelNotFound, match="not found"):
            models.find(known, name)
    assert [each.name for each in models.tags(known, EMBEDDER).models] == [
        "ocelli-local:latest",
        *(f"ocelli-local:{level}" for level in VerificationLevel),
        "Vision:7b",
        "a/b:latest",
        "all-minilm:latest",
    ]
    digests = {each.name: each.digest for each in models.tags(known, EMBEDDER).models}
    assert digests["ocelli-local:latest"] == digests["Vision:7b"] == digests["a/b:latest"]
    assert len(set(digests.values())) == 1 + len(VerificationLevel) + 1


@pytest.mark.parametrize("name", ["Ocelli-Local:Standard", "vision:7B:standard", "A/B:STANDARD"])
def test_names_with_a_level(name: str) -> None:
    known = ChatModels(
        NO_BACKENDS, default=None, aliases={"Vision:7b": "default", "a/b": "default"}, fallback=()
    )
    found = models.find(known, name)
    assert (found.id.casefold(), found.level) == (name.casefold(), VerificationLevel.STANDARD)
    assert known.resolve(found.id).level is VerificationLevel.STANDARD


def test_an_alias_with_a_level() -> None:
    known = ChatModels(
        NO_BACKENDS,
        default="ocelli-local:critical",
        aliases={"gpt-4o": "default", "x:quick": "ocelli-local", "y": "ocelli-local:quick"},
        fallback=(),
    )
    assert known.get("gpt-4o").alias_of == "ocelli-local:critical"
    levels = {name: known.resolve(name).level for name in ("gpt-4o", "x:quick", "y", "y:standard")}
    assert levels == {
        "gpt-4o": VerificationLevel.CRITICAL,
        "x:quick": None,  # a name of its own
        "y": VerificationLevel.QUICK,
        "y:standard": VerificationLevel.STANDARD,
    }


class _NoBackends:
    names = ()

    def get(self, name: str) -> None:
        raise AssertionError(name)


NO_BACKENDS: Any = _NoBackends()


def test_the_last_line_says_how_it_ended() -> None:
    answer = WholeAnswer("m", "A cat.", Finish.LENGTH, prompt_tokens=9, completion_tokens=0)
    said = streaming.whole(answer, "M:latest", streaming.generated, 0.0)
    assert said["model"] == "M:latest"
    assert said["done_reason"] == "length"
    assert said["prompt_eval_count"] == 9
    assert "eval_count" not in said
    assert isinstance(said["total_duration"], int)
    assert said["created_at"].endswith("Z")


def test_calls_have_objects_as_arguments() -> None:
    calls = mapping.called(
        (ToolInvocation("", "f", '{"a": 1}'), ToolInvocation("x", "g", '{"a": '))
    )
    assert calls[0]["function"] == {"index": 0, "name": "f", "arguments": {"a": 1}}
    assert calls[0]["id"].startswith("call_")
    assert calls[1] == {"id": "x", "function": {"index": 1, "name": "g", "arguments": {}}}


@pytest.mark.parametrize("at_root", [True, False])
def test_paths_at_the_root(at_root: bool) -> None:
    from types import SimpleNamespace

    services: Any = SimpleNamespace(ollama=SimpleNamespace(at_root=at_root))

    def alias(path: str, method: str = "POST", accept: bytes = b"*/*") -> str | None:
        scope = {"path": path, "method": method, "headers": [(b"accept", accept)]}
        return paths.alias(services, scope)

    assert alias("/api/ollama/v1/chat/completions") == "/v1/chat/completions"
    expected = (lambda path: "/api/ollama" + path) if at_root else (lambda path: None)
    for path in ("/api/generate", "/api/tags", "/api/blobs/sha256:1", "/api/embed"):
        assert alias(path) == expected(path)
    assert alias("/", "GET") == ("/api/ollama" if at_root else None)
    assert alias("/", "GET", b"text/html,*/*") is None
    for path in ("/api/fetch", "/api/response", "/api/credits", "/api/v2/describe", "/api/nope"):
        assert alias(path) is None
