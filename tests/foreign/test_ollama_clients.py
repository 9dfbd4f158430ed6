"""Clients of Ollama, unchanged, against ``ocelli serve``."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import ollama
import pytest
from langchain_core.messages import HumanMessage
from langchain_ollama import ChatOllama, OllamaEmbeddings
from pydantic import BaseModel

from tests.chat.upstream import WORDS
from tests.conftest import Server

LOCAL = "ocelli-local"


class Cafe(BaseModel):
    """What a client asks for."""

    description: str
    tags: list[str]
    people_count: int


@pytest.fixture
def connected() -> Iterator[Callable[..., ollama.Client]]:
    """Makes clients, and closes them."""
    with ExitStack() as clients:
        yield lambda *given, **more: clients.enter_context(ollama.Client(*given, **more))


@pytest.fixture(scope="module")
def coffee(photos: dict[str, Path]) -> bytes:
    return photos["coffee"].read_bytes()


@pytest.mark.parametrize("base", ["", "/api/ollama"])
def test_ollama(
    connected: Callable[..., ollama.Client], chat: Server, coffee: bytes, base: str
) -> None:
    """At the root without a key, and at the path of ours with one."""
    client = connected(chat.url + base, headers=chat.headers if base else {})
    models = [each.model for each in client.list().models]
    assert f"{LOCAL}:latest" in models
    assert len(client.ps().models) == len(models)
    card = client.show(LOCAL)
    assert "vision" in (card.capabilities or [])
    assert card.modelinfo
    done = client.generate(LOCAL, "What is in this picture?", images=[coffee])
    assert done.response
    assert "cup" in done.response
    assert done.done_reason == "stop"
    streamed = list(
        client.generate(f"{LOCAL}:latest", "What is in this picture?", images=[coffee], stream=True)
    )
    assert "".join(each.response or "" for each in streamed) == done.response
    assert f"{LOCAL}:standard" in models
    verified = client.generate(f"{LOCAL}:quick", "What is in this picture?", images=[coffee])
    assert verified.response == done.response
    said = [{"role": "user", "content": "What is in this picture?", "images": [coffee]}]
    answer = client.chat(LOCAL, said).message.content
    assert answer == done.response
    pieces = client.chat(LOCAL, said, stream=True)
    assert "".join(each.message.content or "" for each in pieces) == answer
    filled = client.chat(LOCAL, said, format=Cafe.model_json_schema())
    cafe = Cafe.model_validate_json(filled.message.content or "")
    assert "cup" in cafe.description
    assert cafe.people_count == 0
    assert client.pull(LOCAL).status == "success"
    assert [each.status for each in client.pull(LOCAL, stream=True)][-1] == "success"
    assert client.generate(LOCAL, "", images=[coffee]).done_reason == "load"


def test_ollama_tells_errors_apart(
    connected: Callable[..., ollama.Client], chat: Server, coffee: bytes
) -> None:
    client = connected(chat.url)
    said = [{"role": "user", "content": "What?", "images": [coffee]}]

    def function(lamp: str) -> str:
        """Turn a lamp on."""
        return lamp

    for ask, status, words in (
        (lambda: client.chat("nope", said), 404, "model 'nope' not found"),
        (lambda: client.chat(LOCAL, said, tools=[function]), 400, "does not support tools"),
        (lambda: client.embed(LOCAL, "x"), 400, "embeddings"),
        (lambda: client.delete(LOCAL), 403, "backends"),
        (lambda: client.chat("gone", said), 503, "gone"),
        (lambda: list(client.generate("dying", "x", stream=True)), -1, "hung up"),
    ):
        with pytest.raises(ollama.ResponseError, match=words) as caught:
            ask()
        assert caught.value.status_code == status
    called = client.chat("caller", said, tools=[function]).message.tool_calls
    assert called
    assert called[0].function.arguments == {"lamp": "desk"}


def test_langchain_ollama(chat: Server, coffee: bytes) -> None:
    picture = "data:image/jpeg;base64," + base64.b64encode(coffee).decode()
    question = HumanMessage(
        [
            {"type": "text", "text": "What is in this picture?"},
            {"type": "image_url", "image_url": picture},
        ]
    )
    model = ChatOllama(model=LOCAL, base_url=chat.url, validate_model_on_init=True)
    answer = model.invoke([question])
    assert "cup" in str(answer.content)
    assert answer.usage_metadata
    assert "".join(str(each.content) for each in model.stream([question])) == answer.content
    cafe = model.with_structured_output(Cafe).invoke([question])
    assert isinstance(cafe, Cafe)
    assert cafe.people_count == 0
    backend = ChatOllama(model="good", base_url=chat.url)
    assert backend.invoke("Hello").content == "".join(WORDS)
    for each in (model, backend):
        each._client._client.close()  # it has no way of its own


LITELLM = """
import base64, json, sys
import litellm
url, picture = json.load(sys.stdin)
said = [{"role": "user", "content": [
    {"type": "text", "text": "What is in this picture?"},
    {"type": "image_url", "image_url": {"url": picture}}]}]
def ask(model, **more):
    try:
        return litellm.completion(model=model, api_base=url, messages=said, max_retries=0, **more)
    except Exception as error:
        return type(error).__name__
out = {}
for way in ("ollama", "ollama_chat"):
    name = way + "/ocelli-local"
    out[way] = [
        ask(name).choices[0].message.content,
        "".join(each.choices[0].delta.content or "" for each in ask(name, stream=True)),
        ask(name, response_format={"type": "json_object"}).choices[0].message.content,
        ask(way + "/nope"),
    ]
print(json.dumps(out))
"""


def test_litellm_with_ollama(chat: Server, coffee: bytes) -> None:
    """In a process of its own: its import warns of everything. It sends no key and no type."""
    picture = "data:image/jpeg;base64," + base64.b64encode(coffee).decode()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LITELLM],
        input=json.dumps([chat.url, picture]),
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for whole, streamed, form, error in json.loads(done.stdout.splitlines()[-1]).values():
        assert "cup" in whole
        assert streamed == whole
        assert "cup" in json.loads(form)["description"]
        assert error in ("APIConnectionError", "NotFoundError", "BadRequestError")


def test_embeddings(chat: Server, connected: Callable[..., ollama.Client]) -> None:
    client = connected(chat.url)
    answer = client.embed("all-minilm", ["a red car", "a crimson automobile", "lunch"])
    car, automobile, lunch = answer.embeddings
    assert np.dot(car, automobile) > np.dot(car, lunch)
    assert client.embeddings("all-minilm", "a red car").embedding == car
    with_langchain = OllamaEmbeddings(model="all-minilm", base_url=chat.url)
    assert with_langchain.embed_query("a red car") == pytest.approx(car)
    assert with_langchain._client is not None
    with_langchain._client._client.close()  # it has no way of its own
