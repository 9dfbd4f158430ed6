"""What quirky servers do, and what a client of ours sees of it."""

from __future__ import annotations

import gzip
import json
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import brotli  # type: ignore[import-untyped]
import pytest

from tests.chat.conftest import ask, data_url, refused, said, text_of
from tests.chat.quirks import BAD, CHUNKS, DONE, ERROR, GOOD, event
from tests.chat.test_chat_local import picture
from tests.chat.upstream import WORDS, Upstream, answer, script
from tests.conftest import Server

MESSAGES = said("What is it?")
WHOLE = json.dumps(answer("scripted", "".join(WORDS))).encode()
JSON = "application/json"


def streamed(chat: Server, play: dict[str, Any]) -> tuple[str, dict[str, Any] | None]:
    """What arrived and what it ended with, as the simplest client reads it."""
    model = "silent" if play["end"] == "silence" else "scripted"
    got = ask(chat, MESSAGES, model, stream=True, script=play)
    assert got.headers["Content-Type"].startswith("text/event-stream")
    assert "Content-Encoding" not in got.headers
    *events, last = got.content.decode().split("\n\n")
    assert last == ""
    assert all(each.startswith("data: ") and "\n" not in each for each in events if each != ":")
    said = [each.removeprefix("data: ") for each in events if each != ":"]
    ending = said.pop()
    chunks = [json.loads(each) for each in said]
    text = "".join(each["choices"][0]["delta"]["content"] for each in chunks)
    return text, None if ending == "[DONE]" else json.loads(ending)["error"]


@pytest.mark.parametrize("name", GOOD)
def test_streams_that_arrive(chat: Server, name: str) -> None:
    assert streamed(chat, GOOD[name]) == ("".join(WORDS), None)


@pytest.mark.parametrize("name", BAD)
def test_streams_that_break(chat: Server, name: str) -> None:
    """The chunks before, then an error that every client knows, and a proper end."""
    text, error = streamed(chat, BAD[name])
    assert text == WORDS[0]
    assert error is not None
    if name == "an error":
        assert (error["code"], error["message"]) == (ERROR["code"], ERROR["message"])
    else:
        assert error["message"].startswith("The backend ")
        assert error["code"] == ("upstream_error" if name == "no json" else "overloaded")


NEVER = {
    "an error first": (script(event({"error": ERROR})), 400, "context_length_exceeded"),
    "an error as json": (
        script(json.dumps({"error": ERROR}).encode(), kind=JSON),
        400,
        "context_length_exceeded",
    ),
    "a crash": (script(event({"error": {"message": "CUDA"}})), 502, "upstream_error"),
    "comments alone": (script(b": wait\n\n", DONE), 502, "upstream_error"),
    "no stream": (script(WHOLE, kind=JSON), 502, "upstream_error"),
    "a page": (script(b"<p>Hello\n\n", kind="text/html"), 502, "upstream_error"),
    "half an event": (script(CHUNKS[0][:40], end="drop"), 503, "overloaded"),
    "packed in an unheard-of way": (script(b"xx", content_encoding="zstd"), 502, "upstream_error"),
}


@pytest.mark.parametrize("name", NEVER)
def test_streams_that_never_begin(chat: Server, name: str) -> None:
    """These are no streams for our clients either; another backend could still be asked."""
    play, status, code = NEVER[name]
    error = ask(chat, MESSAGES, "scripted", stream=True, script=play)
    refused(error, status, code, "messages" if status == 400 else None)


@pytest.mark.parametrize(
    "play",
    [
        script(WHOLE, kind=JSON),
        script(gzip.compress(WHOLE), content_encoding="gzip", kind=JSON),
        script(zlib.compress(WHOLE), content_encoding="deflate", kind=JSON),
        script(brotli.compress(WHOLE), content_encoding="br", kind=JSON),
        script(b"\xef\xbb\xbf" + WHOLE, kind=JSON),
        script(b"\n" + WHOLE, kind="text/plain"),
        script(WHOLE, status=201, kind=JSON),
    ],
)
def test_answers_that_arrive(chat: Server, play: dict[str, Any]) -> None:
    got = ask(chat, MESSAGES, "scripted", script=play)
    assert "Content-Encoding" not in got.headers
    assert got.headers["Content-Type"] == "application/json"
    assert text_of(got) == "".join(WORDS)


@pytest.mark.parametrize(
    ("play", "status", "code"),
    [
        (script(json.dumps({"error": ERROR}).encode(), kind=JSON), 400, "context_length_exceeded"),
        (script(b'{"error": {"code": 429}}', kind=JSON), 429, "rate_limit_exceeded"),
        (script(b'{"error": "loading"}', kind=JSON), 502, "upstream_error"),
        (script(b'{"choices": []}', kind=JSON), 502, "upstream_error"),
        (script(b"[1]", kind=JSON), 502, "upstream_error"),
        (script(WHOLE[:40], kind=JSON), 502, "upstream_error"),
        (script(WHOLE[:40], end="drop", kind=JSON), 503, "overloaded"),
        (script(gzip.compress(WHOLE), kind=JSON), 502, "upstream_error"),  # and does not say so
        (script(gzip.compress(bytes(70_000_000), 1), content_encoding="gzip", kind=JSON),
         502, "upstream_error"),
    ],
)  # fmt: skip
def test_answers_that_are_none(chat: Server, play: dict[str, Any], status: int, code: str) -> None:
    error = ask(chat, MESSAGES, "scripted", script=play)
    refused(error, status, code, "messages" if status == 400 else None)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "context_length_exceeded"),
        (400, "content_policy_violation"),
        (413, "too_large"),
        (422, "odd"),
        (429, "rate_limit_exceeded"),
        (429, "insufficient_quota"),
        (503, "engine_overloaded"),
    ],
)
def test_codes_are_kept(chat: Server, status: int, code: str) -> None:
    error = {"message": "So it is.", "type": "odd_type", "param": "messages", "code": code}
    body = json.dumps({"error": error}).encode()
    play = script(body, status=status, kind=JSON, retry_after="30")
    for stream in (False, True):
        got = ask(chat, MESSAGES, "scripted", stream=stream, script=play)
        assert "So it is." in refused(got, status, code, "messages")
        assert got.json()["error"]["type"] == "odd_type"
        again = got.headers.get("X-Should-Retry")
        assert again == ("false" if code == "insufficient_quota" else None)


@pytest.mark.parametrize("dated", [False, True])
def test_when_to_come_again_is_told(chat: Server, dated: bool) -> None:
    after = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    play = script(b"{}", status=429, retry_after=after if dated else "100", kind=JSON)
    got = ask(chat, MESSAGES, "scripted", script=play)
    assert got.status_code == 429
    assert 60 <= int(got.headers["Retry-After"]) <= 100


def test_pictures_go_as_objects(chat: Server, upstream: Upstream) -> None:
    url = data_url(picture())
    for value in (url, f" {url}\n", {"url": url, "detail": "low"}):
        content = [{"type": "image_url", "image_url": value}]
        assert ask(chat, [{"role": "user", "content": content}], "good", top_k=1).ok
        sent = upstream.asked[-1]["messages"][0]["content"][0]["image_url"]
        assert sent.pop("url").startswith("data:image/jpeg")
        assert sent == ({} if isinstance(value, str) else {"detail": "low"})
        assert upstream.asked[-1]["top_k"] == 1


def test_what_we_do_not_know_is_passed_on(chat: Server, upstream: Upstream) -> None:
    """The backend judges it: parts, roles, forms, values beyond OpenAI's."""
    parts = [
        {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
        {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}},
        {"type": "file", "file": {"file_id": "x"}},
        {"type": "text", "text": None},
        "a string",
    ]
    messages = [
        {"role": "critic", "content": "x", "weight": 2},
        {"role": "user", "content": parts},
        {"role": "assistant", "content": None, "tool_calls": [], "prefix": True},
        {"role": "tool", "content": [{"type": "image_url", "image_url": data_url(picture())}]},
        {"role": "user", "content": {"any": "thing"}},
        {"role": "user"},
    ]
    more: dict[str, Any] = {
        "response_format": {"type": "grammar", "grammar": "root ::= x"},
        "temperature": 7,
        "top_p": "high",
        "n": 0.5,
        "max_tokens": "many",
        "stop": list("abcdefg"),
        "tools": {"not": "a list"},
        "stream_options": 3,
        "logit_bias": [1],
    }
    assert ask(chat, messages, "good", **more).ok
    sent = upstream.asked[-1]
    assert sent["messages"][3]["content"][0]["image_url"]["url"].startswith("data:image/jpeg")
    messages[3] = sent["messages"][3]
    assert sent == {"model": "good", "messages": messages, **more}
    refused(ask(chat, messages, "good", stream="yes"), 400, "invalid_type", "stream")
