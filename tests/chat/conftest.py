"""One server for all tests of conversations: the local model, and backends good and bad."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.chat.upstream import Upstream, running
from tests.conftest import Server, reachable, start_server
from tests.waiting import PATIENCE

MODELS = (
    "good", "broken", "busy", "locked", "picky", "page", "slow", "dying", "endless", "flaky",
    "scripted", "caller", "stepwise",
)  # fmt: skip
PATH = "/v1/chat/completions"


@pytest.fixture(scope="session")
def upstream(photos: dict[str, Path]) -> Iterator[Upstream]:
    with running(photos) as server:
        yield server


@pytest.fixture(scope="session")
def chat(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Server]:
    backends = {name: upstream.model(name, timeout=60, breaker_failures=1000) for name in MODELS}
    backends["slow"]["timeout"] = 1
    backends["stepwise"]["timeout"] = PATIENCE
    backends["silent"] = upstream.model("scripted", timeout=3, breaker_failures=1000)
    backends["ill"] = upstream.model("broken", breaker_failures=2, breaker_seconds=600)
    backends["late"] = upstream.model("slow", timeout=60, deadline=0.5)
    backends["reaching"] = upstream.model("good", fetches_urls=True)
    # Of the user's own: names with a colon, one of which looks like a level.
    backends["tagged"] = upstream.model("qwen3-vl:2b")
    backends["looks"] = upstream.model("tagged:quick")
    backends["gone"] = {"base_url": "http://127.0.0.1:9/v1", "model": "gone"}
    for backend in backends.values():
        backend["sight_test"] = False
    backends["good"] |= {"max_side": 256, "full_side": 256, "headers": {"X-Of-The-Operator": "yes"}}
    server = start_server(
        reachable(tmp_path_factory.mktemp("chat")) / "data",
        *("--workers", "1"),
        OCELLI_BACKENDS=json.dumps(backends),
        OCELLI_CHAT_MODEL="ocelli-local",
        OCELLI_CHAT_ALIASES=json.dumps(
            {"gpt-4o": "default", "gpt-4-turbo": "default", "a/b": "good"}
        ),
        OCELLI_CHAT_MAX_MB="75",
        OCELLI_FETCH_ALLOW="127.0.0.0/8",
        OCELLI_FETCH_TIMEOUT="5",
        OCELLI_FETCH_MAX_MB="5",
        OCELLI_OLLAMA_ROOT="true",
        OCELLI_OLLAMA_TENANT="housemates",
    )
    server.new_key("housemates")
    yield server
    server.stop()
    assert server.process.stdout is not None
    server.process.stdout.close()


def data_url(data: bytes, mime: str = "image/png") -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def part(url: str, **more: Any) -> Any:
    return {"type": "image_url", "image_url": {"url": url, **more}}


def said(text: str, *urls: str) -> Any:
    """One message of a user, as every client's types want it."""
    content = [{"type": "text", "text": text}, *map(part, urls)]
    return [{"role": "user", "content": content}]


def ask(
    server: Server, messages: Any, model: str = "ocelli-local", path: str = PATH, **more: Any
) -> requests.Response:
    return requests.post(
        server.url + path,
        headers=server.headers,
        json={"model": model, "messages": messages, **more},
        timeout=60,
    )


def text_of(answer: requests.Response) -> str:
    assert answer.status_code == 200, answer.text
    text: str = answer.json()["choices"][0]["message"]["content"]
    return text


def refused(answer: requests.Response, status: int, code: str, param: str | None) -> str:
    """The message, once the rest of the error is as it must be."""
    body = answer.json()
    error = body["error"]
    got = (answer.status_code, error["code"], error["param"])
    assert got == (status, code, param), answer.text
    assert body["message"] == error["message"]
    assert body["statusCode"] == status
    assert body["requestId"] == answer.headers["X-Request-ID"]
    return str(error["message"])
