"""Ollama's API: what is answered, what is refused, and in which words."""

from __future__ import annotations

import base64
import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import requests

from ocelli.domain.accounts import Tier
from ocelli.domain.errors import DeactivatedKey, InvalidKey
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.usecases.accounts import Accounts
from tests.chat.upstream import WORDS, Upstream
from tests.conftest import Server
from tests.waiting import until

LOCAL = "ocelli-local"
EMBEDDER = "all-minilm"
SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {"description": {"type": "string"}},
    "required": ["description"],
}


@pytest.fixture(scope="module")
def coffee(photos: dict[str, Path]) -> str:
    return base64.b64encode(photos["coffee"].read_bytes()).decode()


def post(server: Server, path: str, body: Any, **headers: str) -> requests.Response:
    """Without a Content-Type, as LiteLLM does."""
    data = body if isinstance(body, str | bytes) else json.dumps(body)
    if isinstance(data, str):
        data = data.encode()
    return requests.post(server.url + path, data=data, headers=headers, timeout=60)


def lines(answer: requests.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert answer.text.endswith("\n")
    return [json.loads(each) for each in answer.text[:-1].split("\n")]


def refused(answer: requests.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"].startswith("application/json")
    body = answer.json()
    assert body.keys() == {"error"}
    return str(body["error"])


def test_generate(chat: Server, coffee: str) -> None:
    asked = {"model": LOCAL, "prompt": "What is in this picture?", "images": [coffee]}
    whole = post(chat, "/api/generate", {**asked, "stream": False}).json()
    assert "cup" in whole["response"]
    assert whole["done"] is True
    assert whole["done_reason"] == "stop"
    assert whole["eval_count"] > 0
    streamed = lines(post(chat, "/api/ollama/api/generate", asked))
    assert "".join(each["response"] for each in streamed) == whole["response"]
    assert [each["done"] for each in streamed] == [False] * (len(streamed) - 1) + [True]
    assert streamed[-1]["response"] == ""
    assert all(each["model"] == LOCAL and each["created_at"] for each in streamed)


def test_chat_with_forms(chat: Server, coffee: str) -> None:
    asked = {
        "model": f"{LOCAL}:latest",
        "messages": [{"role": "user", "content": "What is it?", "images": [coffee]}],
        "stream": False,
        "tools": [],
        "think": "high",
        "options": {"numa": True, "num_ctx": 8192.0},
        "prompt": [],
        "images": [coffee],
    }
    for form in ("json", SCHEMA):
        answer = post(chat, "/api/chat", {**asked, "format": form}).json()
        assert answer["model"] == f"{LOCAL}:latest"
        assert answer["message"]["role"] == "assistant"
        assert "cup" in json.loads(answer["message"]["content"])["description"]
    short = post(chat, "/api/chat", {**asked, "options": {"num_predict": 2}}).json()
    assert short["done_reason"] == "length"


def test_embed(chat: Server) -> None:
    texts = ["a dog on the beach", "a puppy by the sea", "a supermarket receipt"]
    answer = post(chat, "/api/embed", {"model": EMBEDDER, "input": texts}).json()
    assert answer["model"] == EMBEDDER
    dog, puppy, receipt = (np.array(each) for each in answer["embeddings"])
    assert dog @ dog == pytest.approx(1.0)
    assert dog @ puppy > 0.5 > dog @ receipt
    assert answer["prompt_eval_count"] == 7 + 7 + 5
    asked = {"model": f"{EMBEDDER}:latest", "prompt": texts[2]}
    alone = post(chat, "/api/embeddings", asked).json()["embedding"]
    assert alone == answer["embeddings"][2], "a vector depends on its text alone"
    short = {"model": EMBEDDER, "input": texts[0], "dimensions": 64}
    (cut,) = post(chat, "/api/embed", short).json()["embeddings"]
    assert len(cut) == 64
    assert cut == pytest.approx(dog[:64] / np.linalg.norm(dog[:64]))


@pytest.mark.parametrize("given", [None, "", []])
def test_nothing_to_embed(chat: Server, given: Any) -> None:
    answer = post(chat, "/api/embed", {"model": EMBEDDER, "input": given}).json()
    assert answer["embeddings"] == []
    asked = {"model": EMBEDDER, "prompt": given or None}
    assert post(chat, "/api/embeddings", asked).json() == {"embedding": []}


def test_the_embedder_is_listed(chat: Server) -> None:
    for path in ("tags", "ps"):
        models = requests.get(f"{chat.url}/api/{path}", timeout=60).json()["models"]
        assert f"{EMBEDDER}:latest" in [each["name"] for each in models]
    shown = post(chat, "/api/show", {"model": EMBEDDER}).json()
    assert shown["capabilities"] == ["embedding"]
    assert shown["model_info"]["bert.embedding_length"] == 384
    pulled = post(chat, "/api/pull", {"model": EMBEDDER, "stream": False}).json()
    assert pulled == {"status": "success"}
    error = refused(post(chat, "/api/chat", {"model": EMBEDDER, "messages": []}), 404)
    assert EMBEDDER in error


def test_a_form_type_is_json_all_the_same(chat: Server) -> None:
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data"):
        answer = post(chat, "/api/show", {"name": LOCAL}, **{"Content-Type": kind})
        assert answer.json()["capabilities"] == ["completion", "vision"]


def test_nothing_to_do_is_a_load(chat: Server, coffee: str) -> None:
    for path, body in (
        ("/api/generate", {"prompt": "", "images": [coffee]}),
        ("/api/generate", {}),
        ("/api/chat", {"messages": []}),
        ("/api/chat", {"messages": None, "stream": True}),
    ):
        for keep_alive, reason in ((None, "load"), (0, "unload"), ("5m", "load")):
            asked = {"model": LOCAL, "keep_alive": keep_alive, **body}
            answer = post(chat, path, asked).json()
            assert answer["done"] is True
            assert answer["done_reason"] == reason
            assert "eval_count" not in answer


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/api/generate", b"", 400, "missing request body"),
        ("/api/generate", b"{", 400, "invalid JSON"),
        ("/api/generate", b"[]", 400, "JSON object"),
        ("/api/generate", {"prompt": "x"}, 404, "model '' not found"),
        ("/api/generate", {"model": "nope", "prompt": "x"}, 404, "model 'nope' not found"),
        ("/api/generate", {"model": "nope"}, 404, "model 'nope' not found"),
        ("/api/chat", {"messages": []}, 400, "model is required"),
        ("/api/chat", {"model": f"{LOCAL}:7b"}, 404, f"model '{LOCAL}:7b' not found"),
        ("/api/show", {}, 400, "model is required"),
        ("/api/show", {"name": "nope"}, 404, "model 'nope' not found"),
        ("/api/pull", {}, 400, "invalid model name"),
        ("/api/pull", {"name": "llava"}, 404, "model 'llava' not found"),
        ("/api/embed", {"model": LOCAL, "input": "x"}, 400, "does not support embeddings"),
        ("/api/embed", {"model": "nope", "input": "x"}, 404, "model 'nope' not found"),
        ("/api/embed", {"input": "x"}, 404, "model '' not found"),
        ("/api/embed", {"model": EMBEDDER, "input": [7]}, 400, "input"),
        ("/api/embed", {"model": EMBEDDER, "input": "x", "dimensions": 0}, 400, "dimensions"),
        ("/api/embed", {"model": EMBEDDER, "input": ["x"] * 2049}, 400, "at most 2,048"),
        (
            "/api/embed",
            {"model": EMBEDDER, "input": "a b " * 300, "truncate": False},
            400,
            "exceeds the context length of 256",
        ),
        ("/api/embeddings", {"model": LOCAL, "prompt": "x"}, 400, "does not support embeddings"),
        ("/api/copy", {}, 501, "no models"),
        ("/api/push", {"model": LOCAL}, 501, "no models"),
        ("/api/blobs/sha256:12", b"x", 501, "no models"),
        (
            "/api/generate",
            {"model": LOCAL, "prompt": "x", "images": ["%%"]},
            400,
            "illegal base64 data at input byte 0",
        ),
        (
            "/api/generate",
            {"model": LOCAL, "prompt": "x", "images": ["A" * 80 + "%"]},
            400,
            r"illegal base64 data: images[0]",
        ),
        ("/api/generate", {"model": LOCAL, "prompt": "x", "images": ["AAAA"]}, 400, "images[0]"),
        ("/api/generate", {"model": LOCAL, "prompt": "x", "images": [""]}, 400, "images[0]"),
        (
            "/api/chat",
            {"model": LOCAL, "messages": [{"role": "user", "content": "x"}], "tools": [
                {"type": "function", "function": {"name": "f", "parameters": {}}}]},
            400,
            "does not support tools",
        ),
        (
            "/api/chat",
            {"model": LOCAL, "messages": [{"role": "user", "content": "x", "images": ["http://a/"]}]},
            400,
            "illegal base64 data at input byte 4",
        ),
        ("/api/generate", {"model": "gone", "prompt": "x"}, 503, "gone"),
        ("/api/generate", {"model": "broken", "prompt": "x"}, 503, "broken"),
        ("/api/generate", {"model": "busy", "prompt": "x", "stream": False}, 429, "busy"),
        ("/api/generate", {"model": "picky", "prompt": "x"}, 400, "top_k"),
    ],
)  # fmt: skip
def test_refusals(chat: Server, path: str, body: Any, status: int, said: str) -> None:
    error = refused(post(chat, path, body), status)
    assert said in error
    assert "response_format" not in error


def test_a_schema_that_cannot_be_met(chat: Server, coffee: str) -> None:
    schema = {"type": "object", "properties": {"price": {"type": "integer"}}, "required": ["price"]}
    said = {"role": "user", "content": "x", "images": [coffee]}
    for form, word in ((schema, "price"), ({"type": "nonsense"}, "format"), ("yaml", "format")):
        asked = {"model": LOCAL, "messages": [said], "format": form}
        error = refused(post(chat, "/api/chat", asked), 400)
        assert word in error
        assert "response_format" not in error


def test_forty_pictures(chat: Server, coffee: str) -> None:
    asked = {"model": LOCAL, "prompt": "What?", "images": [coffee] * 40, "stream": False}
    assert "Picture 40" in post(chat, "/api/generate", asked).json()["response"]


def test_methods(chat: Server) -> None:
    for method, path in (("GET", "/api/generate"), ("POST", "/api/tags"), ("PUT", "/api/show")):
        refused(requests.request(method, chat.url + path, timeout=60), 405)
    deleted = requests.delete(f"{chat.url}/api/delete", json={"model": LOCAL}, timeout=60)
    refused(deleted, 403)
    missing = requests.delete(f"{chat.url}/api/delete", json={"name": "nope"}, timeout=60)
    refused(missing, 404)
    asked = requests.options(f"{chat.url}/api/ollama/api/chat", timeout=60)
    assert asked.status_code == 204


def test_the_root(chat: Server) -> None:
    for path in ("/", "/api/ollama", "/api/ollama/"):
        answer = requests.get(chat.url + path, timeout=60, allow_redirects=False)
        assert (answer.status_code, answer.text) == (200, "Ollama is running")
        assert requests.head(chat.url + path, timeout=60, allow_redirects=False).status_code == 200
    page = requests.get(
        chat.url + "/", headers={"Accept": "text/html"}, timeout=60, allow_redirects=False
    )
    assert page.headers["Location"] == "/console/"
    assert requests.get(f"{chat.url}/api/version", timeout=60).json()["version"]
    others = requests.get(f"{chat.url}/api/credits", timeout=60)
    assert others.status_code == 401  # a surface of its own, which keeps its place


def test_without_the_settings(server: Server) -> None:
    for path in ("/api/tags", "/api/generate"):
        assert requests.get(server.url + path, timeout=60).status_code == 404
    tags = f"{server.url}/api/ollama/api/tags"
    assert "aion_" in refused(requests.get(tags, timeout=60), 401)
    refused(requests.get(tags, headers={"Authorization": "Bearer "}, timeout=60), 401)
    listed = requests.get(tags, headers=server.headers, timeout=60).json()["models"]
    assert f"{LOCAL}:latest" in [each["model"] for each in listed]
    page = requests.get(server.url + "/", timeout=60, allow_redirects=False)
    assert page.headers["Location"] == "/console/"


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer ollama"},
        {"Authorization": "Basic eA=="},
        {"Origin": "app://obsidian.md"},
        {"Origin": "http://localhost:3000"},
        {"Host": "ocelli:8000"},
        {"Host": "nas.local"},
    ],
)
def test_callers_without_a_key(chat: Server, headers: dict[str, str]) -> None:
    assert requests.get(f"{chat.url}/api/tags", headers=headers, timeout=60).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer aion_wrong_wrong_wrong_wrong_wrong_wrong_wrong"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
        {"Host": "localhost.evil.example"},
        {"X-Forwarded-For": "203.0.113.9"},
        {"X-Forwarded-For": "127.0.0.1, 203.0.113.9"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Real-IP": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
    ],
)
def test_who_needs_a_key_all_the_same(chat: Server, headers: dict[str, str]) -> None:
    answer = requests.get(f"{chat.url}/api/tags", headers=headers, timeout=60)
    refused(answer, 401)
    if "aion" in headers.get("Authorization", ""):
        return
    with_key = {**headers, **chat.headers}
    assert requests.get(f"{chat.url}/api/tags", headers=with_key, timeout=60).ok


def test_no_other_surface_does_without_a_key(chat: Server) -> None:
    for path in ("/v1/models", "/models", "/api/v2/user-files", "/api/credits"):
        assert requests.get(chat.url + path, timeout=60).status_code == 401, path
    said = {"model": LOCAL, "messages": []}
    assert post(chat, "/api/ollama/v1/chat/completions", said).status_code == 401
    with_key = post(chat, "/api/ollama/v1/chat/completions", said, **chat.headers)
    assert with_key.json()["error"]["param"] == "messages"


def test_the_key_of_those_without_one_can_be_revoked(chat: Server) -> None:
    """It stands in the tenant's list; it is no text that could be sent."""
    assert requests.get(f"{chat.url}/api/tags", timeout=60).ok
    owner = {"Authorization": f"Bearer {chat.new_key('housemates')}"}
    keys = requests.get(f"{chat.url}/api/v2/api-keys", headers=owner, timeout=60).json()["api_keys"]
    mine = [each for each in keys if each["name"] == "ollama, without a key"]
    assert len(mine) == 1
    assert mine[0]["scopes"] == ["write"]


def test_a_relayed_model(chat: Server, upstream: Upstream, coffee: str) -> None:
    asked = {
        "model": "good",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is it?", "images": [coffee]},
        ],
        "format": SCHEMA,
        "options": {"num_predict": 50, "temperature": 0.1, "top_k": 9, "stop": ["\n\n"]},
    }
    streamed = lines(post(chat, "/api/chat", asked))
    assert "".join(each["message"]["content"] for each in streamed) == "".join(WORDS)
    passed = upstream.asked[-1]
    assert passed["model"] == "good"
    assert passed["messages"][0] == {"role": "system", "content": "Be brief."}
    shown, said = passed["messages"][1]["content"]
    assert shown["image_url"]["url"].startswith("data:image/jpeg;base64,")
    assert said == {"type": "text", "text": "What is it?"}
    assert passed["response_format"]["json_schema"]["schema"] == SCHEMA
    assert (passed["temperature"], passed["stop"]) == (0.1, ["\n\n"])
    assert "top_k" not in passed
    whole = post(chat, "/api/chat", {**asked, "stream": False}).json()
    assert whole["message"] == {"role": "assistant", "content": "".join(WORDS)}
    assert (whole["prompt_eval_count"], whole["eval_count"]) == (9, 4)


@pytest.mark.parametrize("stream", [True, False])
def test_tools_of_a_relayed_model(chat: Server, stream: bool) -> None:
    function = {"name": "light", "description": "On or off.", "parameters": {"type": "object"}}
    asked: dict[str, Any] = {
        "model": "caller",
        "messages": [{"role": "user", "content": "Light, please."}],
        "tools": [{"type": "function", "function": function}],
        "stream": stream,
    }
    answer = post(chat, "/api/chat", asked)
    turns = lines(answer) if stream else [answer.json()]
    calls = [call for turn in turns for call in turn["message"].get("tool_calls", [])]
    assert [call["function"]["arguments"] for call in calls] == [{"lamp": "desk"}]
    assert turns[-1]["done_reason"] == "stop"
    asked["messages"] += [
        {"role": "assistant", "content": "", "tool_calls": calls},
        {"role": "tool", "tool_name": "light", "content": "is on"},
    ]
    answer = post(chat, "/api/chat", asked)
    turns = lines(answer) if stream else [answer.json()]
    assert "".join(turn["message"]["content"] for turn in turns) == "call_up: is on"


def test_a_backend_that_dies_in_mid_stream(chat: Server) -> None:
    answer = post(chat, "/api/generate", {"model": "dying", "prompt": "x"})
    told = lines(answer)
    assert told[0]["response"] == WORDS[0]
    assert "hung up" in told[-1]["error"]
    assert not any(each.get("done") for each in told)


def test_a_client_that_leaves_ends_the_work(chat: Server, upstream: Upstream) -> None:
    upstream.hung_up.clear()
    address = urlsplit(chat.url)
    body = json.dumps({"model": "endless", "prompt": "x"}).encode()
    with socket.create_connection((address.hostname, address.port)) as client:
        client.sendall(
            b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s"
            % (len(body), body)
        )
        assert b"200" in client.recv(100)
    until(upstream.hung_up.is_set)


async def test_the_tenant_of_those_without_a_key(database: PostgresDatabase) -> None:
    """It has to exist; its key is made once, is no text, and stays revoked."""
    with pytest.raises(InvalidKey, match="does not exist"):
        await Accounts(database).authenticate_keyless("nobody-lives-here", "ollama")
    async with database.transaction() as tx:
        tenant = await tx.accounts.add_tenant("flatmates", Tier.FREE)
    key = await Accounts(database).authenticate_keyless("flatmates", "ollama")
    again = await Accounts(database).authenticate_keyless("flatmates", "ollama")
    assert key.tenant.id == tenant.id
    assert again.id == key.id
    assert key.scopes == ("write",)
    with pytest.raises(InvalidKey):
        await Accounts(database).authenticate(f"without a key: ollama {tenant.id}")
    async with database.transaction() as tx:
        await tx.accounts.revoke(str(key.id))
    with pytest.raises(DeactivatedKey):
        await Accounts(database).authenticate_keyless("flatmates", "ollama")
