"""``NAME:LEVEL``: verified descriptions through every surface of chat."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.chat.conftest import ask, data_url, said, text_of
from tests.chat.upstream import WORDS, Upstream
from tests.conftest import Server
from tests.integration.test_main_job import API

LOCAL = "ocelli-local:standard"
DESCRIBE, COUNT = "Describe this picture.", "How many cups are there?"


@pytest.fixture(scope="module")
def coffee(photos: dict[str, Path]) -> bytes:
    return photos["coffee"].read_bytes()


@pytest.fixture(scope="module")
def url(coffee: bytes) -> str:
    return data_url(coffee, "image/jpeg")


@pytest.fixture(scope="module")
def described(chat: Server, coffee: bytes) -> dict[str, Any]:
    """What /describe answers at the same level."""
    body = {
        "image_base64": base64.b64encode(coffee).decode(),
        "providers": ["ocelli-local"],
        "verification_level": "standard",
    }
    answer = requests.post(f"{chat.url}{API}/describe", headers=chat.headers, json=body, timeout=60)
    assert answer.ok, answer.text
    whole: dict[str, Any] = answer.json()
    return whole


def post(chat: Server, path: str, body: Any) -> requests.Response:
    answer = requests.post(chat.url + path, headers=chat.headers, json=body, timeout=60)
    assert answer.ok, answer.text
    return answer


def chunks(answer: requests.Response) -> list[dict[str, Any]]:
    lines = [line for line in answer.text.split("\n\n") if line]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def is_verified(extension: dict[str, Any], described: dict[str, Any]) -> bool:
    assert extension["level"] == "standard"
    assert extension["reason"] is None
    (picture,) = extension["pictures"]
    assert picture["description"] == described["description"]
    assert picture["confidence"] == described["confidence_score"]
    assert picture["claims"] == described["claims"]
    assert picture["errors"] == described["errors"]
    return bool(extension["verified"])


def test_chat_completions(chat: Server, url: str, described: dict[str, Any]) -> None:
    answer = ask(chat, said(DESCRIBE, url), LOCAL)
    assert text_of(answer) == described["description"]
    body = answer.json()
    assert body["model"] == LOCAL
    assert is_verified(body["ocelli"], described)
    first, *others = chunks(ask(chat, said("", url), LOCAL, stream=True))
    assert is_verified(first["ocelli"], described)
    assert not any("ocelli" in each for each in others)
    texts = [each["choices"][0]["delta"].get("content", "") for each in others]
    assert "".join(texts) == described["description"]


def test_verdicts(server: Server, url: str) -> None:
    """Without a backend the local models look twice."""
    (picture,) = ask(server, said(DESCRIBE, url), LOCAL).json()["ocelli"]["pictures"]
    assert picture["looks"] == 2
    assert any(each["verdicts"] for each in picture["claims"])


def test_responses(chat: Server, url: str, described: dict[str, Any]) -> None:
    content = [{"type": "input_text", "text": DESCRIBE}, {"type": "input_image", "image_url": url}]
    asked = {"model": LOCAL, "input": [{"role": "user", "content": content}]}
    body = post(chat, "/v1/responses", asked).json()
    assert body["output"][0]["content"][0]["text"] == described["description"]
    assert is_verified(body["ocelli"], described)
    kept = requests.get(
        f"{chat.url}/v1/responses/{body['id']}", headers=chat.headers, timeout=60
    ).json()
    assert kept["ocelli"] == body["ocelli"]
    streamed = post(chat, "/v1/responses", {**asked, "stream": True}).text
    last = json.loads(streamed.strip().rpartition("data: ")[2])
    assert last["type"] == "response.completed"
    assert is_verified(last["response"]["ocelli"], described)


def test_ollama(chat: Server, coffee: bytes, described: dict[str, Any]) -> None:
    picture = base64.b64encode(coffee).decode()
    asked = {"model": LOCAL.upper(), "prompt": DESCRIBE, "images": [picture], "stream": False}
    whole = post(chat, "/api/generate", asked).json()
    assert whole["response"] == described["description"]
    assert is_verified(whole["ocelli"], described)
    messages = [{"role": "user", "content": DESCRIBE, "images": [picture]}]
    streamed = post(chat, "/api/chat", {"model": LOCAL, "messages": messages}).text
    lines = [json.loads(line) for line in streamed.splitlines()]
    assert "".join(each["message"]["content"] for each in lines) == described["description"]
    assert is_verified(lines[-1]["ocelli"], described)
    tags = post_tags(chat)
    assert {"ocelli-local:latest", LOCAL, "good:critical"} <= set(tags)
    assert len({tags[LOCAL], tags["ocelli-local:latest"], tags["ocelli-local:quick"]}) == 3
    shown = post(chat, "/api/show", {"model": LOCAL}).json()
    assert shown["capabilities"] == ["completion", "vision"]
    assert post(chat, "/api/show", {"model": "GPT-4o:Quick"}).ok  # understood, if not listed


def post_tags(chat: Server) -> dict[str, str]:
    listed = requests.get(f"{chat.url}/api/tags", headers=chat.headers, timeout=60).json()
    return {each["name"]: each["digest"] for each in listed["models"]}


def test_another_question(chat: Server, url: str, coffee: bytes) -> None:
    """Is answered as without a level, and the answer says so."""
    plain = ask(chat, said(COUNT, url)).json()
    asked = ask(chat, said(COUNT, url), LOCAL).json()
    assert asked["choices"] == plain["choices"]
    assert asked["model"] == "ocelli-local"
    assert "ocelli" not in plain
    extensions = [asked["ocelli"]]
    first, *others = chunks(ask(chat, said(COUNT, url), LOCAL, stream=True))
    extensions.append(first["ocelli"])
    assert not any("ocelli" in each for each in others)
    extensions.append(
        post(chat, "/v1/responses", {"model": LOCAL, "input": "Hello."}).json()["ocelli"]
    )
    body = {
        "model": LOCAL,
        "prompt": COUNT,
        "images": [base64.b64encode(coffee).decode()],
    }
    last = post(chat, "/api/generate", body).text.splitlines()[-1]
    extensions.append(json.loads(last)["ocelli"])
    form = {"type": "json_object"}
    extensions.append(ask(chat, said(DESCRIBE, url), LOCAL, response_format=form).json()["ocelli"])
    for extension in extensions:
        assert extension["verified"] is False
        assert "as without a level" in extension["reason"]
        assert (extension["level"], extension["pictures"]) == ("standard", [])


def test_two_pictures(chat: Server, url: str, photos: dict[str, Path]) -> None:
    other = data_url(photos["chelsea"].read_bytes(), "image/png")
    answer = ask(chat, said("What is in these pictures?", url, other, url), "ocelli-local:quick")
    pictures = answer.json()["ocelli"]["pictures"]
    assert len(pictures) == 3
    assert pictures[0] == pictures[2] != pictures[1]
    numbered = [f"Picture {at}: {each['description']}" for at, each in enumerate(pictures, 1)]
    assert text_of(answer) == "\n".join(numbered)


def test_a_backend(chat: Server, upstream: Upstream, url: str) -> None:
    upstream.asked.clear()
    answer = ask(chat, said("Describe it like a pirate.", url), "good:quick", stop="it")
    assert text_of(answer) == "A cat, "
    body = answer.json()
    assert body["model"] == "good:quick"
    extension = body["ocelli"]
    assert extension["verified"]
    assert extension["pictures"][0]["description"] == "".join(WORDS)
    assert "like a pirate" in json.dumps(upstream.asked)  # how to describe is the reader's to say


@pytest.mark.parametrize(
    "more",
    [{"response_format": {"type": "json_object"}}, {"messages": [{"role": "x", "odd": 1}]}],
)
def test_another_question_to_a_backend(
    chat: Server, upstream: Upstream, url: str, more: dict[str, Any]
) -> None:
    """Is relayed as without a level, also one that only the backend can judge."""
    body = {"messages": said("Describe it.", url), "max_tokens": 5, "x_y": 1, **more}
    asked = {**body, "model": "good:critical"}
    answer = post(chat, "/v1/chat/completions", asked).json()
    assert upstream.asked[-1]["model"] == "good"
    assert upstream.asked[-1]["x_y"] == 1
    assert answer["model"] == "good-2026"
    assert (answer["ocelli"]["level"], answer["ocelli"]["verified"]) == ("critical", False)
    events = chunks(post(chat, "/v1/chat/completions", {**asked, "stream": True}))
    assert [each["ocelli"]["level"] for each in events if "ocelli" in each] == ["critical"]
    assert "".join(each["choices"][0]["delta"]["content"] for each in events) == "".join(WORDS)


def test_names_with_a_colon_of_ones_own(chat: Server, upstream: Upstream, url: str) -> None:
    for model in ("qwen3-vl:2b", "tagged:quick"):
        answer = ask(chat, said("Describe it.", url), model).json()
        assert upstream.asked[-1]["model"] == model
        assert answer["model"] == f"{model}-2026"
        assert "ocelli" not in answer
    verified = ask(chat, said("Describe it.", url), "qwen3-vl:2b:quick").json()
    assert verified["model"] == "tagged:quick"
    assert verified["ocelli"]["verified"]
    for name in ("good:Quick", "good:fast", ":quick", "nope:quick", "good:quick:quick"):
        assert ask(chat, said("?"), name).status_code == 404


def test_what_is_wrong_with_a_picture_is_said_of_it(chat: Server) -> None:
    answer = ask(chat, said(DESCRIBE, "data:image/png;base64,AAAA"), LOCAL)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "messages[0].content[1].image_url.url"
