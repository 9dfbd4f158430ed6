"""The local model over HTTP: answers, forms, streams, and everything that can be wrong."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from tests.chat.conftest import PATH, ask, data_url, part, refused, said, text_of
from tests.chat.upstream import Upstream
from tests.conftest import Server
from tests.integration.test_bad_input import bomb

URL = "messages[0].content[1].image_url.url"
LEVELS = ("quick", "standard", "thorough", "critical")


def picture(
    size: tuple[int, int] = (32, 24), color: Any = (200, 30, 30), kind: str = "PNG"
) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, color).save(stream, kind)
    return stream.getvalue()


def test_the_programs_of_the_seed(
    chat: Server, upstream: Upstream, photos: dict[str, Path], tmp_path: Path
) -> None:
    """Word for word, but for the addresses: by URL, inline, two of them."""
    image = photos["coffee"].read_bytes()
    (tmp_path / "photo.jpg").write_bytes(image)
    first = f"{upstream.url}/files/coffee"
    programs = (
        ("What’s in this image?", [first]),
        ("What’s in this image?", [data_url(image, "image/jpeg")]),
        ("What are in these images? Is there any difference between them?", [first, first]),
    )
    texts = []
    for question, urls in programs:
        payload = json.dumps(
            {"model": "gpt-4o", "messages": said(question, *urls), "max_tokens": 300}
        )
        headers = {"Content-Type": "application/json", **chat.headers}
        answer = requests.post(
            f"{chat.url}/chat/completions", headers=headers, data=payload, timeout=60
        )
        assert answer.json()["model"] == "ocelli-local"
        texts.append(text_of(answer))
    assert "cup" in texts[0]
    assert texts[1] == texts[0]
    assert re.search("same|identical", texts[2])


def test_an_answer_has_everything(chat: Server, photos: dict[str, Path]) -> None:
    url = data_url(photos["astronaut"].read_bytes())
    answer = ask(chat, said("What's in this image?", url))
    body = answer.json()
    assert body["id"].startswith("chatcmpl-")
    assert body["object"] == "chat.completion"
    assert "person" in text_of(answer)
    assert body["choices"][0]["finish_reason"] == "stop"
    usage = body["usage"]
    assert usage["prompt_tokens_details"]["image_tokens"] == 85 + 170  # 512 × 512
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert answer.headers["x-ratelimit-limit-requests"] == "60000"
    assert re.fullmatch(r"\d+s|\d+m\d+s", answer.headers["x-ratelimit-reset-requests"])
    assert answer.headers["openai-processing-ms"].isdecimal()
    low = ask(chat, [{"role": "user", "content": [part(url, detail="low")]}]).json()
    assert low["usage"]["prompt_tokens_details"]["image_tokens"] == 85


def test_a_picture_is_looked_at_once(chat: Server) -> None:
    """In one request, and in the later turns of its conversation."""
    key = chat.new_key("looks-once")
    headers = {"Authorization": f"Bearer {key}"}
    url = data_url(picture(color=(1, 2, 3)))
    messages = [
        *said("What is this?", url, url),
        {"role": "assistant", "content": "Black."},
        {"role": "user", "content": "And which colours?"},
    ]
    for _ in range(2):
        body = {"model": "ocelli-local", "messages": messages}
        answer = requests.post(chat.url + PATH, headers=headers, json=body, timeout=60)
        assert answer.status_code == 200
    usage = requests.get(f"{chat.url}/api/v2/usage/summary", headers=headers, timeout=60).json()
    assert usage["limits"]["used_this_month"] == 1


def test_a_conversation(chat: Server, photos: dict[str, Path]) -> None:
    """A question is about what came with it; without a picture, or to compare, about all."""
    messages: list[dict[str, Any]] = []

    def say(text: str, *names: str) -> str:
        urls = [data_url(photos[name].read_bytes()) for name in names]
        messages.extend(said(text, *urls))
        answer = text_of(ask(chat, messages))
        messages.append({"role": "assistant", "content": answer})
        return answer

    assert "cup" in say("What's in this image?", "coffee")
    assert say("How many cups are there?") == "One cup."
    assert "cup" not in say("And what is this?", "astronaut")
    assert "Only picture 1 shows" in say("Is there any difference between them?")
    assert "No dog was found" in say("Is there a dog?")


def test_what_the_request_says_is_honoured(chat: Server, photos: dict[str, Path]) -> None:
    messages = said("Describe it.", data_url(photos["astronaut"].read_bytes()))
    whole = text_of(ask(chat, messages))
    cut = ask(chat, messages, max_tokens=99, max_completion_tokens=3).json()
    assert cut["choices"][0]["finish_reason"] == "length"
    assert cut["usage"]["completion_tokens"] == 3
    assert whole.startswith(cut["choices"][0]["message"]["content"])
    stop = whole[10:14]
    assert text_of(ask(chat, messages, stop=[stop, "never"])) == whole[: whole.index(stop)]
    several = ask(chat, messages, n=3, temperature=0, seed=1, user=None, top_k=3).json()
    assert [choice["index"] for choice in several["choices"]] == [0, 1, 2]
    assert several["usage"]["completion_tokens"] % 3 == 0


def test_a_stream_says_the_same(chat: Server, photos: dict[str, Path]) -> None:
    messages = said("Describe it.", data_url(photos["astronaut"].read_bytes()))
    answer = ask(chat, messages, stream=True, stream_options={"include_usage": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = answer.content.decode().split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    assert len({(each["id"], each["created"], each["model"]) for each in chunks}) == 1
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    text = "".join(
        each["choices"][0]["delta"].get("content", "") for each in chunks if each["choices"]
    )
    assert text == text_of(ask(chat, messages))
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == ask(chat, messages).json()["usage"]
    plain = ask(chat, messages, stream=True).content.decode()
    assert '"choices": []' not in plain


def test_forms(chat: Server, photos: dict[str, Path]) -> None:
    messages = said("What is there?", data_url(photos["coffee"].read_bytes()))
    free = json.loads(text_of(ask(chat, messages, response_format={"type": "json_object"})))
    assert {"answer", "description", "tags", "objects", "colors", "text"} <= set(free)
    schema = {
        "type": "object",
        "properties": {
            "description": {"type": "string"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "people_count": {"type": "integer"},
            "mood": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["description", "tags", "people_count", "mood"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
    filled = json.loads(text_of(ask(chat, messages, response_format=form)))
    assert filled["people_count"] == 0
    assert filled["mood"] is None
    schema["properties"]["mood"] = {"type": "string"}  # type: ignore[index]
    message = refused(
        ask(chat, messages, response_format=form), 400, "unsupported_parameter", "response_format"
    )
    assert "'response_format' of type 'json_schema' is not supported with this model" in message
    assert "mood" in message
    broken = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nonsense"}}}
    message = refused(
        ask(chat, messages, response_format=broken), 400, "invalid_json_schema", "response_format"
    )
    assert message.startswith("Invalid schema for response_format")


CUPS = {
    "type": "object",
    "properties": {"description": {"type": "string"}, "number_of_cups": {"type": "integer"}},
    "required": ["description", "number_of_cups"],
}


def tool(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def test_tools_that_must_be_called(chat: Server, photos: dict[str, Path]) -> None:
    """Their arguments are filled as the answers by schema are."""
    messages = said("Extract it.", data_url(photos["coffee"].read_bytes()))
    unknowable = tool("pay", {**CUPS, "properties": {"description": {"type": "number"}}})
    tools = [unknowable, tool("cups", CUPS)]
    for choice in ("required", {"type": "function", "function": {"name": "cups"}}):
        answer = ask(chat, messages, tools=tools, tool_choice=choice, parallel_tool_calls=False)
        (made,) = answer.json()["choices"]
        assert made["finish_reason"] == "tool_calls"
        assert made["message"]["content"] is None
        (call,) = made["message"]["tool_calls"]
        assert (call["type"], call["function"]["name"]) == ("function", "cups")
        assert json.loads(call["function"]["arguments"])["number_of_cups"] == 1
    answer = ask(chat, messages, tools=tools, tool_choice="required", stream=True)
    events = [each[6:] for each in answer.text.split("\n\n") if each.startswith("data: {")]
    deltas = [json.loads(each)["choices"][0] for each in events]
    assert deltas[0]["delta"]["tool_calls"][0]["function"]["name"] == "cups"
    text = "".join(
        call["function"]["arguments"]
        for each in deltas
        for call in each["delta"].get("tool_calls", ())
    )
    assert json.loads(text)["number_of_cups"] == 1
    assert deltas[-1]["finish_reason"] == "tool_calls"
    cut = ask(chat, messages, tools=tools, tool_choice="required", max_tokens=2).json()
    assert cut["choices"][0]["finish_reason"] == "length"
    pay = {"type": "function", "function": {"name": "pay"}}
    told = ask(chat, messages, tools=tools, tool_choice=pay)
    assert "'pay'" in refused(told, 400, "unsupported_parameter", "tools")
    broken = [tool("x", {"type": "nonsense"})]
    told = ask(chat, messages, tools=broken, tool_choice="required")
    refused(told, 400, "invalid_json_schema", "tools")
    other = {"type": "function", "function": {"name": "z"}}
    told = ask(chat, messages, tools=tools, tool_choice=other)
    refused(told, 400, "invalid_value", "tool_choice")
    plain = ask(chat, messages).json()["choices"][0]["message"]
    assert "tool_calls" not in plain


def test_a_transcription_is_the_text_alone(chat: Server, photos: dict[str, Path]) -> None:
    page, flat = data_url(photos["page"].read_bytes()), data_url(picture())
    prompt = "Output ONLY the extracted text. If there is no text, reply with NO_TEXT."
    text = text_of(ask(chat, said(prompt, page)))
    assert "“" not in text
    assert "segmentation" in text.splitlines()[0]
    assert text_of(ask(chat, said(prompt, flat))) == "NO_TEXT"
    system = [{"role": "system", "content": "You are an OCR engine. Return only the text."}]
    assert text_of(ask(chat, [*system, *said("", page)])) == text
    assert text_of(ask(chat, [*system, *said("", flat)])) == ""


GOOD = data_url(picture())
SPELLINGS = {
    "no type": GOOD.replace("image/png", ""),
    "wrong type": GOOD.replace("image/png", "image/jpg"),
    "parameters": GOOD.replace(";base64", ";charset=utf-8;name=a.png;base64"),
    "upper case": GOOD.replace("data:", "DATA:").replace("base64", "BASE64"),
    "no padding": GOOD.rstrip("="),
    "lines": "\n".join(re.findall(".{1,60}", GOOD)),
    "url-safe": GOOD[:22] + GOOD[22:].replace("+", "-").replace("/", "_"),
    "percent": GOOD.replace("+", "%2B").replace("=", "%3D"),
    "bare base64": GOOD.partition(",")[2],
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_spellings_of_inline_pictures(chat: Server, name: str) -> None:
    assert text_of(ask(chat, said("What is it?", SPELLINGS[name])))


def test_a_string_is_an_image_url(chat: Server) -> None:
    content = [{"type": "image_url", "image_url": GOOD}, {"type": "text", "text": "What is it?"}]
    assert text_of(ask(chat, [{"role": "user", "content": content}]))


def cases() -> dict[str, tuple[Any, str]]:
    """From what stands as URL to the code of its refusal; {} is the loopback server."""
    return {
        "no base64": ("data:image/png;base64,***", "invalid_base64_image"),
        "no base64 mark": ("data:image/png,abc", "invalid_base64_image"),
        "empty": ("data:image/png;base64,", "empty_image_file"),
        "text": (data_url(b"hello, I am no picture" * 9), "invalid_image_format"),
        "half a png": (data_url(picture()[:30]), "invalid_image_format"),
        "damaged": (data_url(picture((640, 480), kind="JPEG")[:-900]), "invalid_image_format"),
        "too many pixels": (data_url(bomb()), "image_too_large"),
        "a file": ("file:///etc/passwd", "invalid_image_url"),
        "nonsense": ("photo.jpg", "invalid_image_url"),
        "no host": ("http://", "invalid_image_url"),
        "a name that is none": ("http://nowhere.invalid/a.png", "invalid_image_url"),
        "private": ("http://10.0.0.1/a.png", "invalid_image_url"),
        "metadata": ("http://169.254.169.254/latest", "invalid_image_url"),
        "404": ("{}/files/nothing", "invalid_image_url"),
        "500": ("{}/files/error", "invalid_image_url"),
        "loop": ("{}/files/loop", "invalid_image_url"),
        "redirected inside": ("{}/files/inside", "invalid_image_url"),
        "slow": ("{}/files/slow", "invalid_image_url"),
        "endless": ("{}/files/endless", "invalid_image_url"),
        "a page": ("{}/files/page", "invalid_image_format"),
    }


@pytest.mark.parametrize("name", cases())
def test_pictures_that_are_refused(chat: Server, upstream: Upstream, name: str) -> None:
    url, code = cases()[name]
    answer = ask(chat, said("What is it?", url.replace("{}", upstream.url)), stream=True)
    assert answer.headers["content-type"] == "application/json"
    refused(answer, 400, code, URL)


MESSAGES = said("What is it?")
BODIES: dict[str, tuple[dict[str, Any], int, str, str | None]] = {
    "no model": ({"model": None}, 400, "invalid_type", "model"),
    "unknown model": ({"model": "gpt-9"}, 404, "model_not_found", "model"),
    "messages": ({"messages": "hello"}, 400, "invalid_type", "messages"),
    "no messages": ({"messages": []}, 400, "invalid_value", "messages"),
    "role": (
        {"messages": [{"role": "boss", "content": ""}]}, 400, "invalid_value", "messages[0].role",
    ),
    "content": (
        {"messages": [{"role": "user"}]},
        400, "missing_required_parameter", "messages[0].content",
    ),
    "part": (
        {"messages": [{"role": "user", "content": [{"type": "input_image"}]}]},
        400, "invalid_value", "messages[0].content[0].type",
    ),
    "image_url": (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": 7}]}]},
        400, "invalid_type", "messages[0].content[0].image_url",
    ),
    "system picture": (
        {"messages": [{"role": "system", "content": [part(GOOD)]}]},
        400, "invalid_value", "messages[0].content[0].type",
    ),
    "temperature": ({"temperature": 3}, 400, "invalid_value", "temperature"),
    "max_tokens": ({"max_tokens": 0}, 400, "invalid_value", "max_tokens"),
    "max_tokens as text": ({"max_tokens": "300"}, 400, "invalid_type", "max_tokens"),
    "n": ({"n": 1.5}, 400, "invalid_value", "n"),
    "stops": ({"stop": list("abcde")}, 400, "invalid_value", "stop"),
    "tools": (
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        400, "unsupported_parameter", "tools",
    ),
    "logprobs": ({"logprobs": True}, 400, "unsupported_parameter", "logprobs"),
    "form": ({"response_format": {"type": "xml"}}, 400, "invalid_value", "response_format.type"),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_bodies_that_are_refused(chat: Server, name: str) -> None:
    change, status, code, param = BODIES[name]
    body = {"model": "ocelli-local", "messages": MESSAGES, **change}
    answer = requests.post(chat.url + PATH, headers=chat.headers, json=body, timeout=60)
    refused(answer, status, code, param)


def test_bodies_that_are_no_json(chat: Server) -> None:
    for body in (b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 5000):
        answer = requests.post(chat.url + PATH, headers=chat.headers, data=body, timeout=60)
        refused(answer, 400, "invalid_json", None)
    answer = requests.post(chat.url + PATH, headers=chat.headers, data=b"[]", timeout=60)
    refused(answer, 400, "invalid_type", None)
    deep: Any = []
    for _ in range(150):
        deep = [deep]
    refused(ask(chat, deep), 400, "invalid_type", "messages[0]")


def test_many_pictures(chat: Server) -> None:
    urls = [GOOD] * 500
    body = ask(chat, said("What is it?", *urls)).json()
    assert body["usage"]["prompt_tokens_details"]["image_tokens"] == 500 * 255
    refused(ask(chat, said("", *urls, GOOD)), 400, "too_many_images", "messages")


def test_large_bodies(chat: Server) -> None:
    """60 MB of pictures in one request; a body beyond the limit."""
    big = data_url(picture() + bytes(45_000_000))
    assert len(big) > 60_000_000
    assert text_of(ask(chat, said("What is it?", big)))
    too_large = requests.post(
        chat.url + PATH, headers=chat.headers, data=b" " * (75 * 1024**2 + 1), timeout=60
    )
    assert too_large.status_code == 413
    assert "Request too large" not in too_large.text  # LiteLLM would take it for a 429


def test_without_a_picture(chat: Server) -> None:
    assert "backends" in text_of(ask(chat, said("Who wrote Faust?")))


def test_who_may_ask(chat: Server) -> None:
    for headers in ({}, {"Authorization": "Bearer sk-nonsense"}, {"Authorization": "Token x"}):
        answer = requests.post(chat.url + PATH, headers=headers, json={}, timeout=60)
        message = refused(answer, 401, "invalid_api_key", None)
        assert "Incorrect API key provided" in message
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    reader = {"Authorization": f"Bearer {chat.new_key('reads', '--scopes', 'read')}"}
    body = {"model": "ocelli-local", "messages": MESSAGES}
    answer = requests.post(chat.url + PATH, headers=reader, json=body, timeout=60)
    refused(answer, 403, "insufficient_permissions", None)
    assert requests.get(f"{chat.url}/v1/models", headers=reader, timeout=60).ok


def test_limits_per_key(chat: Server) -> None:
    headers = {"Authorization": f"Bearer {chat.new_key('free', '--tier', 'free')}"}
    body = {"model": "ocelli-local", "messages": MESSAGES}
    statuses = [
        requests.post(chat.url + PATH, headers=headers, json=body, timeout=60) for _ in range(21)
    ]
    last = next(each for each in statuses if each.status_code == 429)
    refused(last, 429, "rate_limit_exceeded", None)
    assert last.headers["x-ratelimit-remaining-requests"] == "0"
    assert int(last.headers["Retry-After"]) <= 60


def test_models(chat: Server) -> None:
    def get(path: str) -> requests.Response:
        return requests.get(chat.url + path, headers=chat.headers, timeout=60)

    for path in ("/models", "/v1/models"):
        models = {each["id"]: each for each in get(path).json()["data"]}
        assert {"ocelli-local", "good", "gpt-4o", "gpt-4-turbo", "a/b"} <= set(models)
        levels = {f"{name}:{level}" for name in ("ocelli-local", "good") for level in LEVELS}
        assert levels <= set(models)
        assert {models[f"good:{level}"]["level"] for level in LEVELS} == set(LEVELS)
        assert models["good"]["level"] is None
    assert get("/v1/models/a/b").json()["alias_of"] == "good"
    assert get("/v1/models/a/b:quick").json()["alias_of"] == "good:quick"
    refused(get("/v1/models/x/y"), 404, "model_not_found", "model")
    refused(get("/v1/assistants"), 404, "not_found", None)
    refused(get(PATH), 405, "method_not_allowed", None)


def test_browsers(chat: Server) -> None:
    asked = "authorization, content-type, x-stainless-os"
    answer = requests.options(
        f"{chat.url}/chat/completions",
        headers={"Origin": "http://app", "Access-Control-Request-Headers": asked},
        timeout=60,
    )
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Headers"] == asked
    answer = requests.get(f"{chat.url}/v1/models", headers={"Origin": "http://app"}, timeout=60)
    assert answer.status_code == 401
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "x-request-id" in answer.headers["Access-Control-Expose-Headers"]


def test_moderation(chat: Server, photos: dict[str, Path]) -> None:
    def judge(input: Any) -> requests.Response:
        url = f"{chat.url}/v1/moderations"
        return requests.post(url, headers=chat.headers, json={"input": input}, timeout=60)

    body = judge([part(data_url(photos["coffee"].read_bytes())), part(GOOD)]).json()
    (result,) = body["results"]
    assert result["flagged"] is False
    assert result["categories"]["sexual"] is False
    assert 0 <= result["category_scores"]["sexual"] < 0.5
    assert result["category_applied_input_types"]["sexual"] == ["image"]
    assert result["categories"]["violence"] is None  # nobody looked, so nobody says that it is not
    refused(judge("I hate"), 400, "invalid_value", "input")
    refused(judge([{"type": "text", "text": "x"}]), 400, "invalid_value", "input[0]")
    refused(judge([part("ftp://x")]), 400, "invalid_image_url", "input[0].image_url.url")


def test_the_same_request_twice(chat: Server) -> None:
    """An Idempotency-Key goes the long way and is answered from what is kept."""
    headers = {**chat.headers, "Idempotency-Key": "chat-once"}
    body = {"model": "ocelli-local", "messages": said("What is it?", GOOD)}
    answers = [
        requests.post(chat.url + PATH, headers=headers, json=body, timeout=60) for _ in range(2)
    ]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["Idempotent-Replayed"] == "true"
