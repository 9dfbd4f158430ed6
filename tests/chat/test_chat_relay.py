"""Conversations passed on to backends that behave well and badly."""

from __future__ import annotations

import base64
import io
import json
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from ocelli.backends.chat.relay import Upstreams
from ocelli.backends.registry import configure
from ocelli.domain.accounts import Tenant, Tier
from ocelli.domain.chat_errors import ChatError, UpstreamUnavailable
from ocelli.domain.http_status import can_be_retried
from ocelli.usecases.chat_pictures import PictureLoader
from ocelli.usecases.chat_relay import Relay, RelayRequest
from tests import tattling
from tests.chat.conftest import PATH, ask, data_url, part, refused, said, text_of
from tests.chat.upstream import WORDS, Upstream, chunk, script
from tests.conftest import Server
from tests.waiting import PATIENCE, until

MESSAGES = said("What is it?")


def raw(server: Server, body: bytes, **options: Any) -> requests.Response:
    return requests.post(
        server.url + PATH, headers=server.headers, data=body, timeout=60, **options
    )


def test_bytes_pass_untouched(chat: Server, upstream: Upstream) -> None:
    """There and back: unknown fields, numbers as they were written, the key that is ours."""
    body = (
        b'{ "model":"good", "messages" : [{"role":"user","content":"h\xc3\xa4?"}],'
        b' "top_k": 1e1, "max_tokens": 5, "x": null}'
    )
    answer = raw(chat, body)
    assert answer.json()["model"] == "good-2026"  # who really answered
    assert text_of(answer) == "".join(WORDS)
    assert upstream.asked[-1] == json.loads(body)
    headers = upstream.headers[-1]
    assert headers["Authorization"] == "Bearer sk-ours"
    assert headers["X-Of-The-Operator"] == "yes"
    assert chat.key not in str(headers)
    assert answer.headers["X-Request-ID"] == headers["X-Request-ID"]


def test_an_alias_and_the_backends_own_words(chat: Server, upstream: Upstream) -> None:
    assert ask(chat, MESSAGES, "a/b", max_completion_tokens=7, metadata={"model": "a/b"}).ok
    asked = upstream.asked[-1]
    assert asked["model"] == "good"
    assert asked["metadata"] == {"model": "a/b"}
    assert asked["max_tokens"] == 7
    assert "max_completion_tokens" not in asked


def test_a_stream_passes_piece_by_piece(chat: Server, upstream: Upstream) -> None:
    """The backend sends the next one only once the client has the one before."""
    body = json.dumps({"model": "stepwise", "messages": MESSAGES, "stream": True}).encode()
    with raw(chat, body, stream=True) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        pieces, passed, wanted = answer.iter_content(None), b"", b""
        for word in WORDS:
            wanted += chunk("stepwise", word)
            while len(passed) < len(wanted):
                passed += next(pieces)
            assert passed == wanted
            upstream.taken.release()
        assert b"".join(pieces) == b"data: [DONE]\n\n"


def test_pictures_are_inlined_and_scaled(
    chat: Server, upstream: Upstream, photos: dict[str, Path]
) -> None:
    small = data_url(_png((64, 48)))
    url = f"{upstream.url}/files/coffee"
    messages = [
        {
            "role": "user",
            "content": [part(url, detail="low"), {"type": "text", "text": "?"}, part(small)],
        },
        {"role": "assistant", "content": "Coffee."},
        {"role": "user", "content": [{"type": "image_url", "image_url": url}]},
    ]
    upstream.fetched.clear()
    assert ask(chat, messages, "good").ok
    sent = upstream.asked[-1]["messages"]
    assert upstream.fetched == ["coffee"]  # once, though it is there twice
    first = sent[0]["content"][0]["image_url"]
    assert first["detail"] == "low"
    assert sent[2]["content"][0]["image_url"] == {"url": first["url"]}
    inline = sent[0]["content"][2]["image_url"]["url"]
    assert Image.open(io.BytesIO(base64.b64decode(inline.partition(",")[2]))).size == (64, 48)
    scaled = Image.open(io.BytesIO(base64.b64decode(first["url"].partition(",")[2])))
    assert max(scaled.size) == 256


def test_a_backend_that_fetches_itself(chat: Server, upstream: Upstream) -> None:
    """It gets the address as it was; what is inline is checked all the same."""
    upstream.fetched.clear()
    assert ask(chat, said("", f"{upstream.url}/files/coffee"), "reaching").ok
    assert upstream.fetched == []
    assert upstream.asked[-1]["messages"][0]["content"][1]["image_url"]["url"].endswith("coffee")
    place = "messages[0].content[1].image_url.url"
    for url in ("ftp://x/y", "http://169.254.169.254/latest", "http://a:b@127.0.0.1/x.png"):
        refused(ask(chat, said("", url), "reaching"), 400, "invalid_image_url", place)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_picture_leaves_without_what_it_does_not_show(
    chat: Server, upstream: Upstream, format: str
) -> None:
    """However small it is, inline and by address: upright, and neither place nor words with it."""
    data = tattling.picture(format)
    upstream.files["tattling"] = data
    for url in (data_url(data, f"image/{format.lower()}"), f"{upstream.url}/files/tattling"):
        assert ask(chat, said("", url), "good").ok
        sent = upstream.asked[-1]["messages"][0]["content"][1]["image_url"]["url"]
        tattling.check(base64.b64decode(sent.partition(",")[2]), format)


def test_pictures_are_checked_before_anything_is_asked(chat: Server, upstream: Upstream) -> None:
    before = len(upstream.asked)
    place = "messages[0].content[1].image_url.url"
    refused(ask(chat, said("", data_url(b"no")), "good"), 400, "invalid_image_format", place)
    url = "http://169.254.169.254/"
    refused(ask(chat, said("", url), "good", stream=True), 400, "invalid_image_url", place)
    refused(ask(chat, "hello", "good"), 400, "invalid_type", "messages")
    assert len(upstream.asked) == before


@pytest.mark.parametrize(
    ("model", "status", "code", "tries"),
    [
        ("broken", 503, "overloaded", 2),
        ("busy", 429, "rate_limit_exceeded", 1),  # it says itself that soon is too soon
        ("locked", 502, "upstream_error", 1),
        ("page", 502, "upstream_error", 1),
        ("gone", 503, "overloaded", 0),
    ],
)
def test_backends_that_fail(
    chat: Server, upstream: Upstream, model: str, status: int, code: str, tries: int
) -> None:
    before = len(upstream.asked)
    for stream in (False, True):
        answer = ask(chat, MESSAGES, model, stream=stream)
        message = refused(answer, status, code, None)
        assert model in message
        assert "sk-ours" not in answer.text
        assert ("Retry-After" in answer.headers) is (status in (429, 503))
        assert answer.headers.get("X-Should-Retry") == ("false" if status == 502 else None)
    assert len(upstream.asked) - before == 2 * tries
    if model == "busy":
        assert answer.headers["Retry-After"] == "7"


def test_a_backends_refusal_is_told(chat: Server) -> None:
    message = refused(ask(chat, MESSAGES, "picky"), 400, "nope", "top_k")
    assert message == "top_k must not be here"


@pytest.mark.parametrize(("model", "seconds"), [("slow", "1"), ("late", "0.5")])
def test_a_backend_that_is_too_slow_is_asked_once(
    chat: Server, upstream: Upstream, model: str, seconds: str
) -> None:
    """For as long as the first of ``timeout`` and ``deadline`` allows."""
    before = len(upstream.asked)
    for stream in (False, True):
        message = refused(ask(chat, MESSAGES, model, stream=stream), 503, "overloaded", None)
        assert f"did not answer within {seconds} s" in message
    assert len(upstream.asked) == before + 2


@pytest.mark.parametrize("status", [400, 404, 408, 409, 422, 425, 429, 500, 501, 503, 505, 511])
def test_a_status_is_asked_again_as_the_table_says(
    chat: Server, upstream: Upstream, status: int
) -> None:
    """The table that workers go by too; the client is told the same."""
    before = len(upstream.asked)
    answer = ask(
        chat, MESSAGES, "scripted", script=script(b"{}", status=status, kind="application/json")
    )
    again = can_be_retried(status)
    assert len(upstream.asked) == before + 1 + again
    assert ("Retry-After" in answer.headers) is again
    wanted = answer.status_code in (429, 503) and "X-Should-Retry" not in answer.headers
    assert wanted is again


def test_a_backend_that_is_ill_is_left_alone(chat: Server, upstream: Upstream) -> None:
    before = len(upstream.asked)
    answers = [ask(chat, MESSAGES, "ill") for _ in range(3)]
    message = refused(answers[-1], 503, "overloaded", None)
    assert "has failed several times in a row" in message
    assert int(answers[-1].headers["Retry-After"]) > 500
    assert len(upstream.asked) == before + 2


def test_a_backend_that_recovers(chat: Server, upstream: Upstream) -> None:
    assert text_of(ask(chat, MESSAGES, "flaky")) == "".join(WORDS)
    assert sum(each["model"] == "flaky" for each in upstream.asked) == 2


def test_a_backend_that_dies_in_mid_stream(chat: Server) -> None:
    answer = ask(chat, MESSAGES, "dying", stream=True)
    assert answer.status_code == 200
    first, error = [each for each in answer.text.split("\n\n") if each]
    assert first == chunk("dying", WORDS[0]).decode().strip()
    assert json.loads(error.removeprefix("data: "))["error"]["code"] == "overloaded"


def test_a_client_that_leaves_ends_the_backends_work(chat: Server, upstream: Upstream) -> None:
    upstream.hung_up.clear()
    body = json.dumps({"model": "endless", "messages": MESSAGES, "stream": True}).encode()
    with raw(chat, body, stream=True) as answer:
        assert next(answer.iter_content(64))
    assert upstream.hung_up.wait(PATIENCE)
    with pytest.raises(requests.ReadTimeout):
        requests.post(
            chat.url + PATH,
            headers=chat.headers,
            json={"model": "slow", "messages": MESSAGES},
            timeout=0.3,
        )


def test_what_was_delivered_is_counted(chat: Server) -> None:
    """A month's share that is limited: reserved before, given back after a failure."""
    headers = {"Authorization": f"Bearer {chat.new_key('counted', '--tier', 'professional')}"}

    def used() -> tuple[int, int]:
        url = f"{chat.url}/api/v2/usage/breakdown"
        body = requests.get(url, headers=headers, timeout=60).json()
        return body["total_credits_used"], body["by_operation_type"].get("chat", 0)

    for model in ("good", "good", "broken", "picky"):
        body = {"model": model, "messages": MESSAGES}
        requests.post(chat.url + PATH, headers=headers, json=body, timeout=60)
    # The route is limited, and the meters are written once a second.
    until(lambda: used() == (2, 2), every=0.5)


# --- without a server: who is asked next


class Counted:
    """Metering that remembers."""

    def __init__(self) -> None:
        self.ended: list[bool] = []

    async def begin(self, tenant: Tenant) -> None:
        pass

    def end(self, tenant: Tenant, *, succeeded: bool, milliseconds: float) -> None:
        self.ended.append(succeeded)


@pytest.fixture
async def upstreams(upstream: Upstream) -> AsyncIterator[Upstreams]:
    names = ("good", "broken", "picky", "dying", "scripted", "busy", "slow")
    configured = [
        configure(name, upstream.model(name, timeout=1 if name == "slow" else PATIENCE), {})
        for name in names
    ]
    found = Upstreams(configured)
    yield found
    await found.close()


async def relay(upstreams: Upstreams, names: str, *, stream: bool = False, **more: Any) -> Any:
    """(Who answered, the whole text, what was counted)."""
    metering = Counted()
    body = json.dumps({"model": "x", "messages": MESSAGES, "stream": stream, **more}).encode()
    passed = RelayRequest(body, lambda: json.loads(body), "x", [], stream, (), "id")
    tenant = Tenant(uuid.uuid4(), "t", Tier.FREE, datetime.now(UTC))
    pictures = PictureLoader(None, None, max_bytes=1)  # type: ignore[arg-type]
    chosen: Any = [upstreams.get(name) for name in names.split()]
    try:
        relayed = await Relay(pictures, metering).open(  # type: ignore[arg-type]
            tenant, chosen, passed, max_bytes=1
        )
        text = relayed.body
        try:
            if relayed.events is not None:
                text = b"".join([piece async for piece in relayed.events])
        finally:
            relayed.close()
        return relayed.upstream, text, metering.ended
    except ChatError as error:
        return error, b"", metering.ended


async def test_the_next_one_answers(upstreams: Upstreams) -> None:
    for stream in (False, True):
        who, text, counted = await relay(upstreams, "broken good", stream=stream)
        assert who == "good"
        assert b"cat" in text
        assert counted == [True]


@pytest.mark.parametrize("name", ["broken", "busy", "slow"])
async def test_whoever_cannot_now_is_stood_in_for(upstreams: Upstreams, name: str) -> None:
    who, _, counted = await relay(upstreams, f"{name} good")
    assert (who, counted) == ("good", [True])


ERRORS = [
    {"error": {"message": "CUDA out of memory"}},
    {"error": "model is loading"},
    {"error": {"message": "", "code": 400, "type": "invalid_request_error"}},
    {"error": {"code": "context_length_exceeded"}},
    {"object": "error", "message": "no", "code": 500},
]


@pytest.mark.parametrize("error", ERRORS)
async def test_an_error_in_an_answer_is_no_answer(upstreams: Upstreams, error: Any) -> None:
    text = json.dumps(error).encode()
    for stream, play in (
        (False, script(text, kind="application/json")),
        (True, script(text, kind="application/json")),
        (True, script(b"data: " + text + b"\n\n")),
        (True, script(b": wait\n\n", b"event: error\ndata: " + text + b"\n\n")),
    ):
        who, text_, counted = await relay(upstreams, "scripted good", stream=stream, script=play)
        assert who == "good"
        assert b"cat" in text_
        assert counted == [True]


async def test_a_refusal_goes_to_nobody_else(upstreams: Upstreams) -> None:
    who, _, counted = await relay(upstreams, "picky good")
    assert who.code == "nope"
    assert counted == [False]


async def test_after_the_first_byte_nothing_is_taken_back(upstreams: Upstreams) -> None:
    who, _, counted = await relay(upstreams, "dying good", stream=True)
    assert isinstance(who, UpstreamUnavailable)
    assert counted == [True]  # it was begun, so it is charged


def _png(size: tuple[int, int]) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, (9, 99, 9)).save(stream, "PNG")
    return stream.getvalue()
