"""Whatever a chat server does ends in findings, or in a failure with type, retryable and cause."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.upstream import scenes
from tests.upstream.trouble import TroubleServer
from tests.waiting import PATIENCE

from ocelli.backends.chat import failures
from ocelli.backends.chat.backend import ChatBackend, chat_backend
from ocelli.backends.chat.breaker import Breaker, State
from ocelli.backends.chat.client import ChatClient
from ocelli.backends.config import BackendConfig
from ocelli.backends.plugins import BackendContext
from ocelli.backends.registry import configure
from ocelli.domain.claims import Claim
from ocelli.domain.errors import AnalysisFailed, FailureType
from ocelli.domain.findings import Findings
from ocelli.domain.http_status import can_be_retried
from ocelli.domain.questions import Question
from ocelli.media.decode import Picture, decode

KEY = "sk-very-secret-key"
TIMEOUT, RATE = FailureType.TIMEOUT, FailureType.RATE_LIMIT
VLM, LIMIT = FailureType.VLM_ERROR, FailureType.RESOURCE_LIMIT


@pytest.fixture(scope="module")
def server() -> Iterator[TroubleServer]:
    with TroubleServer() as running:
        yield running


@pytest.fixture(autouse=True)
def forget(server: TroubleServer) -> None:
    server.calls.clear()
    server.most_at_once = 0
    server.bodies.clear()


@pytest.fixture(scope="module")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as it:
        yield it


@pytest.fixture(scope="module")
def picture() -> Picture:
    return decode(scenes.picture(1), max_pixels=10_000_000)


def backend(
    server: TroubleServer, session: aiohttp.ClientSession, model: str, **given: Any
) -> ChatBackend:
    values = {"base_url": server.url, "model": model, "key": KEY, "retries": 0, **given}
    config = configure("bad", values, {})
    assert isinstance(config, BackendConfig)
    return chat_backend(config, BackendContext(session))


def client(it: ChatBackend) -> ChatClient:
    assert isinstance(it.client, ChatClient)
    return it.client


def breaker(it: ChatBackend) -> Breaker:
    return client(it).attempts.breaker


@pytest.mark.parametrize(
    ("model", "type", "retryable"),
    [
        ("slow", TIMEOUT, True),
        ("rude", VLM, True),
        ("429", RATE, True),
        ("no-money", LIMIT, False),
        ("500", VLM, True),
        ("529", VLM, True),
        ("html", VLM, False),
        ("html-502", VLM, True),
        ("no-choice", VLM, True),
        ("null-choice", VLM, True),
        ("empty", VLM, True),
        ("null", VLM, True),
        ("refusal", VLM, False),
        ("filtered", VLM, False),
        ("length-empty", VLM, True),
        ("huge", VLM, True),
        ("list-json", VLM, False),
        ("wrong-schema", VLM, True),
        ("sign", VLM, True),
        ("deep", VLM, False),
        ("error-200", VLM, True),
        ("error-200-plain", VLM, False),
        ("no-vision", VLM, False),
        ("expired", VLM, False),
        ("redirect", VLM, False),
        ("unheard-of", VLM, False),
    ],
)
async def test_failures(
    server: TroubleServer,
    session: aiohttp.ClientSession,
    picture: Picture,
    model: str,
    type: FailureType,
    retryable: bool,
) -> None:
    bad = backend(server, session, model, timeout=0.4 if model == "slow" else 60)
    with pytest.raises(AnalysisFailed) as failed:
        await bad.look(picture, Question())
    assert (failed.value.type, failed.value.retryable) == (type, retryable)
    assert failed.value.message.startswith("bad ") or failed.value.message.startswith("bad:")
    assert KEY not in failed.value.message
    if model in ("slow", "rude"):
        assert failed.value.__cause__ is not None


@pytest.mark.parametrize(
    ("model", "claims", "text"),
    [
        ("good", 2, "TEA"),
        ("parts", 2, "TEA"),
        ("length", 1, "TEA"),
        ("bad-utf8", 2, "T��A"),
        ("wrong-types", 1, "TEA"),
        ("no-format", 2, "TEA"),
        ("prose", 2, None),
    ],
)
async def test_findings_all_the_same(
    server: TroubleServer,
    session: aiohttp.ClientSession,
    picture: Picture,
    model: str,
    claims: int,
    text: str | None,
) -> None:
    found = await backend(server, session, model).look(picture, Question())
    assert found.description is not None
    assert found.description.startswith("There are two cups")
    assert len(found.claims) == claims
    assert found.claims[0].count == 2
    assert found.visible_text == text


async def test_nobody_listens(session: aiohttp.ClientSession, picture: Picture) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    config = configure("bad", {"base_url": url, "model": "m", "retries": 1}, {})
    assert isinstance(config, BackendConfig)
    down = chat_backend(config, BackendContext(session))
    with pytest.raises(AnalysisFailed, match="cannot be reached") as failed:
        await down.look(picture, Question())
    assert failed.value.retryable
    assert isinstance(failed.value.__cause__, aiohttp.ClientConnectorError)


@pytest.mark.parametrize(
    ("model", "calls"),
    [("until:1:500", 2), ("until:1:429", 2), ("until:1:sign", 2), ("until:2:sign", 3)],
)
async def test_retries_end_well(
    server: TroubleServer,
    session: aiohttp.ClientSession,
    picture: Picture,
    model: str,
    calls: int,
) -> None:
    started = time.monotonic()
    found = await backend(server, session, model, retries=2).look(picture, Question())
    assert found.description
    assert server.calls[model] == calls
    assert "429" not in model or time.monotonic() - started >= 1.0  # as Retry-After says


@pytest.mark.parametrize(
    ("model", "given", "calls"),
    [
        ("no-vision", {"structured": "none"}, 1),
        ("no-vision", {"structured": "json_object"}, 2),  # perhaps it was the format
        ("expired", {}, 1),
        ("refusal", {}, 1),
        ("429-long", {"deadline": 600.0}, 1),
    ],
)
async def test_what_is_not_retried(
    server: TroubleServer,
    session: aiohttp.ClientSession,
    picture: Picture,
    model: str,
    given: dict[str, Any],
    calls: int,
) -> None:
    refused = backend(server, session, model, retries=2, **given)
    with pytest.raises(AnalysisFailed):
        async with asyncio.timeout(PATIENCE):
            await refused.look(picture, Question())
    assert server.calls[model] == calls


async def test_a_server_without_formats_is_asked_for_one_once(
    server: TroubleServer, session: aiohttp.ClientSession, picture: Picture
) -> None:
    plain = backend(server, session, "no-format", structured="json_schema")
    for _ in range(3):
        await plain.look(picture, Question())
    formats = ["response_format" in body for body in server.bodies]
    assert formats == [True, False, False, False]


async def test_the_deadline_covers_everything(
    server: TroubleServer, session: aiohttp.ClientSession, picture: Picture
) -> None:
    late = backend(server, session, "slow", timeout=600, deadline=0.5, retries=5)
    with pytest.raises(AnalysisFailed) as failed:
        async with asyncio.timeout(PATIENCE):
            await late.look(picture, Question())
    assert failed.value.type is TIMEOUT


async def test_the_breaker_leaves_the_ill_alone_and_others_go_on(
    server: TroubleServer, session: aiohttp.ClientSession, picture: Picture
) -> None:
    ill = backend(server, session, "until:3:500", breaker_failures=3, breaker_seconds=600)
    well = backend(server, session, "good")
    for _ in range(5):
        with pytest.raises(AnalysisFailed):
            await ill.look(picture, Question())
    assert server.calls["until:3:500"] == 3
    assert breaker(ill).state is State.OPEN
    assert (await well.look(picture, Question())).description
    breaker(ill)._clock = lambda: time.monotonic() + 600
    assert breaker(ill).state is State.HALF_OPEN
    assert (await ill.look(picture, Question())).description
    assert breaker(ill).state is State.CLOSED


async def test_no_more_at_a_time_than_allowed(
    server: TroubleServer, session: aiohttp.ClientSession, picture: Picture
) -> None:
    narrow = backend(server, session, "lingering", concurrency=2)
    await asyncio.gather(*(narrow.look(picture, Question()) for _ in range(5)))
    assert (server.calls["lingering"], server.most_at_once) == (5, 2)


async def test_each_that_gives_up_makes_room_for_the_next(
    server: TroubleServer, session: aiohttp.ClientSession, picture: Picture
) -> None:
    narrow = backend(server, session, "slow", concurrency=2, timeout=0.2, breaker_failures=99)
    looks = [narrow.look(picture, Question()) for _ in range(5)]
    async with asyncio.timeout(PATIENCE):
        outcomes = await asyncio.gather(*looks, return_exceptions=True)
    assert all(isinstance(each, AnalysisFailed) for each in outcomes)
    assert not client(narrow).attempts._slots.locked()  # type: ignore[attr-defined]


async def test_a_key_that_expires_in_the_middle(
    server: TroubleServer, session: aiohttp.ClientSession, picture: Picture
) -> None:
    bad = backend(server, session, "after:3:expired")
    outcomes = [
        await asyncio.gather(bad.look(picture, Question()), return_exceptions=True)
        for _ in range(5)
    ]
    answered = [isinstance(each, Findings) for (each,) in outcomes]
    assert answered == [True, True, True, False, False]


async def test_what_servers_echo_is_not_repeated(
    server: TroubleServer, session: aiohttp.ClientSession, picture: Picture
) -> None:
    for model in ("echo", "expired"):
        with pytest.raises(AnalysisFailed) as failed:
            await backend(server, session, model).look(picture, Question())
        assert "base64" not in failed.value.message
        assert KEY not in failed.value.message
        assert len(failed.value.message) < 400


async def test_logs_hold_neither_key_nor_picture_nor_words(
    server: TroubleServer,
    session: aiohttp.ClientSession,
    picture: Picture,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "ocelli")
    await backend(server, session, "good").look(picture, Question(prompt="my private wish"))
    with pytest.raises(AnalysisFailed):
        await backend(server, session, "expired").look(picture, Question())
    said = caplog.text
    assert "backend=bad model=good look=describe outcome=answered attempts=1" in said
    assert "outcome=vlm_error" in said
    assert not [word for word in (KEY, "cups", "private", "base64", "TEA") if word in said]


async def test_a_long_prompt_is_refused_before_anything_is_sent(
    server: TroubleServer, session: aiohttp.ClientSession, picture: Picture
) -> None:
    with pytest.raises(AnalysisFailed, match="100,000") as failed:
        await backend(server, session, "good").look(picture, Question(prompt="x" * 100_000))
    assert (failed.value.type, failed.value.retryable) == (FailureType.VALIDATION, False)
    assert not server.calls


async def test_an_unknown_language_is_english(
    server: TroubleServer, session: aiohttp.ClientSession, picture: Picture
) -> None:
    await backend(server, session, "good").look(picture, Question(language="Klingon"))
    assert "`description` is in English." in str(server.bodies[0]["messages"])


async def test_a_check_without_verdicts_fails(
    server: TroubleServer, session: aiohttp.ClientSession, picture: Picture
) -> None:
    claims = [Claim("There are two cups.")]
    with pytest.raises(AnalysisFailed, match="gave no verdict") as failed:
        await backend(server, session, "good").check(
            picture, claims, description="There are two cups.", question=Question()
        )
    assert failed.value.retryable


async def test_whoever_gives_up_leaves_nothing_behind(
    server: TroubleServer, session: aiohttp.ClientSession, picture: Picture
) -> None:
    slow = backend(server, session, "slow", concurrency=1)
    look = asyncio.create_task(slow.look(picture, Question()))
    while not server.calls["slow"]:
        await asyncio.sleep(0.01)
    look.cancel()
    with pytest.raises(asyncio.CancelledError):
        await look
    assert breaker(slow).state is State.CLOSED
    assert not client(slow).attempts._slots.locked()  # type: ignore[attr-defined]


@given(st.lists(st.sampled_from(["fail", "succeed", "wait", "give up"])))
def test_breaker_rules(events: list[str]) -> None:
    """Open only after as many failures in a row; half open lets exactly one through."""
    now = [0.0]
    one = Breaker(3, 10.0, clock=lambda: now[0])
    in_a_row = 0
    for event in events:
        if event == "wait":
            now[0] += 10.0
            continue
        if not one.admit():
            assert one.state is State.OPEN
            assert one.wait > 0
            assert in_a_row >= 3
            continue
        if one.state is State.HALF_OPEN:
            assert not one.admit()
        match event:
            case "fail":
                in_a_row += 1
                one.failed()
            case "succeed":
                in_a_row = 0
                one.succeeded()
            case _:
                one.cancelled()
        assert (one.state is State.CLOSED) == (in_a_row < 3)


@given(st.integers(1, 10), st.none() | st.floats(0, 1e6), st.floats(0, 1), st.integers(100, 599))
def test_pauses_and_statuses(nth: int, after: float | None, jitter: float, status: int) -> None:
    pause = failures.next_pause(nth, after, jitter)
    assert pause >= (after or 0.0)
    assert after is not None or pause <= 10
    refused = failures.by_status("it", status, failures.ReportedError())
    assert refused.again == refused.retryable == can_be_retried(status)
