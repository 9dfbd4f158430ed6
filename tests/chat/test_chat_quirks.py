"""What quirky servers do, and what a client of ours sees of it."""

from __future__ import annotations

import gzip
import json
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import brotli
import openai
import pytest

from tests.chat.conftest import ask, data_url, refused, said, text_of
from tests.chat.test_chat_local import picture
from tests.chat.upstream import WORDS, Upstream, answer, chunk, script
from tests.conftest import Server

MESSAGES = said("What is it?")
WHOLE = json.dumps(answer("scripted", "".join(WORDS))).encode()
CHUNKS = [chunk("scripted", word) for word in WORDS]
STREAM = b"".join(CHUNKS)
DONE = b"data: [DONE]\n\n"
ERROR = {"message": "Too much of it.", "code": "context_length_exceeded", "param": "messages"}
JSON = {"kind": "application/json"}


def event(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


@pytest.fixture(scope="module")
def client(chat: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{chat.url}/v1", api_key=chat.key, max_retries=0)


def streamed(client: openai.OpenAI, play: dict[str, Any]) -> tuple[str, openai.APIError | None]:
    """What arrived, and what it ended with."""
    text = ""
    model = "silent" if play["end"] == "silence" else "scripted"
    try:
        for each in client.chat.completions.create(
            model=model,
            messages=MESSAGES,  # type: ignore[arg-type]
            stream=True,
            extra_body={"script": play},
        ):
            text += each.choices[0].delta.content or ""
    except openai.APIError as error:
        return text, error
    return text, None


GOOD = {
    "as it should be": script(*CHUNKS, DONE),
    "no done": script(*CHUNKS),
    "crlf": script(STREAM.replace(b"\n", b"\r\n"), DONE),
    "bom": script(b"\xef\xbb", b"\xbf" + STREAM, DONE),
    "comments": script(b": PROCESSING\n\n", *CHUNKS, b":\n\n", DONE),
    "several lines": script(STREAM.replace(b', "delta"', b',\ndata:  "delta"'), DONE),
    "byte by byte": script(CHUNKS[0], *(bytes([each]) for each in CHUNKS[1]), *CHUNKS[2:], DONE),
    "stays open": script(*CHUNKS, DONE, end="silence"),
    "gzip": script(gzip.compress(STREAM + DONE), content_encoding="gzip"),
    "deflate": script(zlib.compress(STREAM + DONE), content_encoding="deflate"),
    "raw deflate": script(zlib.compress(STREAM + DONE, wbits=-15), content_encoding="deflate"),
    "br": script(brotli.compress(STREAM + DONE), content_encoding="br"),
    "the end of the connection": script(STREAM, DONE, end="unframed"),
}


@pytest.mark.parametrize("name", GOOD)
def test_streams_that_arrive(client: openai.OpenAI, name: str) -> None:
    assert streamed(client, GOOD[name]) == ("".join(WORDS), None)


BAD = {
    "half an event": script(CHUNKS[0], CHUNKS[1][:40], end="drop"),
    "half an event, then a proper end": script(CHUNKS[0], CHUNKS[1][:40]),
    "half an event, and the connection's end": script(CHUNKS[0], CHUNKS[1][:40], end="unframed"),
    "an event, and the connection's end": script(CHUNKS[0], end="unframed"),
    "nothing more": script(CHUNKS[0], end="drop"),
    "silence": script(CHUNKS[0], CHUNKS[1][:40], end="silence"),
    "no json": script(CHUNKS[0], b'data: {"a": \n\n', CHUNKS[1]),
    "an error": script(CHUNKS[0], event({"error": ERROR}), CHUNKS[1]),
}


@pytest.mark.parametrize("name", BAD)
def test_streams_that_break(client: openai.OpenAI, name: str) -> None:
    """The chunks before, then an error that every client knows, and a proper end."""
    text, error = streamed(client, BAD[name])
    assert text == WORDS[0]
    assert type(error) is openai.APIError
    assert error.code == ("context_length_exceeded" if name == "an error" else error.code)
    assert error.message.startswith("The backend ") or name == "an error"


NEVER = {
    "an error first": (script(event({"error": ERROR})), 400, "context_length_exceeded"),
    "an error as json": (
        script(json.dumps({"error": ERROR}).encode(), **JSON),
        400,
        "context_length_exceeded",
    ),
    "a crash": (script(event({"error": {"message": "CUDA"}})), 502, "upstream_error"),
    "comments alone": (script(b": wait\n\n", DONE), 502, "upstream_error"),
    "no stream": (script(WHOLE, **JSON), 502, "upstream_error"),
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
        script(WHOLE, **JSON),
        script(gzip.compress(WHOLE), content_encoding="gzip", **JSON),
        script(zlib.compress(WHOLE), content_encoding="deflate", **JSON),
        script(brotli.compress(WHOLE), content_encoding="br", **JSON),
        script(b"\xef\xbb\xbf" + WHOLE, **JSON),
        script(b"\n" + WHOLE, kind="text/plain"),
        script(WHOLE, status=201, **JSON),
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
        (script(json.dumps({"error": ERROR}).encode(), **JSON), 400, "context_length_exceeded"),
        (script(b'{"error": {"code": 429}}', **JSON), 429, "rate_limit_exceeded"),
        (script(b'{"error": "loading"}', **JSON), 502, "upstream_error"),
        (script(b'{"choices": []}', **JSON), 502, "upstream_error"),
        (script(b"[1]", **JSON), 502, "upstream_error"),
        (script(WHOLE[:40], **JSON), 502, "upstream_error"),
        (script(WHOLE[:40], end="drop", **JSON), 503, "overloaded"),
        (script(gzip.compress(WHOLE), **JSON), 502, "upstream_error"),  # and does not say so
        (script(gzip.compress(bytes(70_000_000)), content_encoding="gzip", **JSON),
         502, "upstream_error"),
    ],
)  # fmt: skip
def test_answers_that_are_none(chat: Server, play: dict[str, Any], status: int, code: str) -> None:
    error = ask(chat, MESSAGES, "scripted", script=play)
    refused(error, status, code, "messages" if status == 400 else None)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "context_length_exceeded", openai.BadRequestError),
        (400, "content_policy_violation", openai.BadRequestError),
        (413, "too_large", openai.APIStatusError),
        (422, "odd", openai.UnprocessableEntityError),
        (429, "rate_limit_exceeded", openai.RateLimitError),
        (429, "insufficient_quota", openai.RateLimitError),
        (503, "engine_overloaded", openai.InternalServerError),
    ],
)
def test_codes_are_kept(
    client: openai.OpenAI, status: int, code: str, kind: type[openai.APIStatusError]
) -> None:
    error = {"message": "So it is.", "type": "odd_type", "param": "messages", "code": code}
    play = script(json.dumps({"error": error}).encode(), status=status, retry_after="30", **JSON)
    for stream in (False, True):
        with pytest.raises(kind) as caught:
            client.chat.completions.create(
                model="scripted",
                messages=MESSAGES,  # type: ignore[arg-type]
                stream=stream,
                extra_body={"script": play},
            )
        got = caught.value
        assert (got.code, got.type, got.param) == (code, "odd_type", "messages")
        assert got.status_code == status
        again = got.response.headers.get("X-Should-Retry")
        assert again == ("false" if code == "insufficient_quota" else None)


@pytest.mark.parametrize("dated", [False, True])
def test_when_to_come_again_is_told(chat: Server, dated: bool) -> None:
    after = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    play = script(b"{}", status=429, retry_after=after if dated else "100", **JSON)
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
    more = {
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
