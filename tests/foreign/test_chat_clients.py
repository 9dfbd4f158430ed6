"""The clients that people have, unchanged, against ``ocelli serve``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from tests.chat.conftest import data_url, part, said
from tests.chat.upstream import WORDS
from tests.conftest import Server


class Cafe(BaseModel):
    """What a client asks for."""

    description: str
    tags: list[str]
    people_count: int
    mood: str | None


@pytest.fixture(scope="module")
def coffee(photos: dict[str, Path]) -> str:
    return data_url(photos["coffee"].read_bytes())


@pytest.fixture(scope="module")
def client(chat: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{chat.url}/v1", api_key=chat.key, max_retries=0) as made:
        yield made


def test_openai(client: openai.OpenAI, coffee: str) -> None:
    messages: Any = said("What's in this image?", coffee)
    answer = client.chat.completions.create(model="gpt-4o", messages=messages, max_tokens=300)
    text = answer.choices[0].message.content
    assert text
    assert "cup" in text
    assert answer._request_id
    assert answer.usage
    assert answer.usage.prompt_tokens_details
    stream = client.chat.completions.create(
        model="gpt-4o",
        messages=messages,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    said_again = "".join(each.choices[0].delta.content or "" for each in chunks if each.choices)
    assert said_again == text
    assert chunks[-1].usage == answer.usage
    models = [model.id for model in client.models.list()]
    assert "gpt-4o" in models
    assert client.models.retrieve("a/b").owned_by == "good"


def test_openai_with_a_level(client: openai.OpenAI, coffee: str) -> None:
    """What it makes of a field that it does not know: kept, also by what adds a stream up."""
    messages: Any = said("What's in this image?", coffee)
    answer = client.chat.completions.create(model="ocelli-local:quick", messages=messages)
    assert answer.model == "ocelli-local:quick"
    verified = answer.model_extra and answer.model_extra["ocelli"]
    assert verified
    assert verified["verified"]
    assert verified["pictures"][0]["description"] == answer.choices[0].message.content
    with client.chat.completions.stream(model="ocelli-local:quick", messages=messages) as stream:
        whole = stream.get_final_completion()
    assert whole.choices[0].message.content == answer.choices[0].message.content
    assert whole.model_extra
    assert claims(whole.model_extra["ocelli"]) == claims(verified)
    content = [
        {"type": "input_text", "text": "Describe it."},
        {"type": "input_image", "image_url": coffee, "detail": "auto"},
    ]
    asked: Any = [{"role": "user", "content": content}]
    response = client.responses.create(model="ocelli-local:quick", input=asked)
    assert response.output_text == answer.choices[0].message.content
    assert response.model_extra
    assert claims(response.model_extra["ocelli"]) == claims(verified)


def claims(extension: Any) -> list[Any]:
    """Of all pictures; ``looks`` are fewer the second time, as the answer is known."""
    return [each["claims"] for each in extension["pictures"]]


def test_openai_parse(client: openai.OpenAI, coffee: str) -> None:
    done = client.chat.completions.parse(
        model="ocelli-local",
        messages=said("What's in this image?", coffee),
        response_format=Cafe,
    )
    cafe = done.choices[0].message.parsed
    assert cafe
    assert "cup" in cafe.description
    assert cafe.people_count == 0
    assert cafe.mood is None
    with pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(
            model="ocelli-local",
            messages=said("What's in this image?", coffee),
            response_format=Cafe,
            max_tokens=3,
        )


async def test_openai_async(chat: Server) -> None:
    async with openai.AsyncOpenAI(base_url=chat.url, api_key=chat.key) as client:  # no /v1
        stream = await client.chat.completions.create(
            model="good",
            messages=said("Hello"),
            stream=True,
        )
        text = "".join([each.choices[0].delta.content or "" async for each in stream])
    assert text == "".join(WORDS)


def test_openai_moderation(client: openai.OpenAI, coffee: str) -> None:
    judged = client.moderations.create(input=[part(coffee)])
    assert judged.results[0].flagged is False
    assert judged.results[0].category_applied_input_types.sexual == ["image"]


def test_openai_tells_errors_apart(chat: Server, client: openai.OpenAI) -> None:
    def ask(model: str = "ocelli-local", url: str = "x", key: str = chat.key) -> openai.APIError:
        mine = client.with_options(api_key=key)
        with pytest.raises(openai.APIError) as caught:
            mine.chat.completions.create(model=model, messages=said("", url))
        return caught.value

    bad = ask()
    assert isinstance(bad, openai.BadRequestError)
    assert (bad.code, bad.param) == ("invalid_image_url", "messages[0].content[1].image_url.url")
    assert isinstance(ask(key="sk-wrong"), openai.AuthenticationError)
    assert isinstance(ask("gpt-9"), openai.NotFoundError)
    good = data_url(b"GIF89a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;", "image/gif")
    assert isinstance(ask("broken", good), openai.InternalServerError)
    reader = chat.new_key("reader", "--scopes", "read")
    assert isinstance(ask(key=reader), openai.PermissionDeniedError)
    limited = chat.new_key("limited", "--tier", "free")
    errors = [ask(key=limited) for _ in range(21)]
    assert any(isinstance(each, openai.RateLimitError) for each in errors)
    with pytest.raises(openai.APIError, match="hung up"):
        for _ in client.chat.completions.create(
            model="dying",
            messages=said("Hello"),
            stream=True,
        ):
            pass


def test_langchain(chat: Server, coffee: str) -> None:
    model = ChatOpenAI(
        base_url=f"{chat.url}/v1", api_key=chat.key, model="gpt-4o", max_tokens=300, max_retries=0
    )
    content: Any = [{"type": "text", "text": "What's in this image?"}, part(coffee)]
    question = HumanMessage(content)
    answer = model.invoke([question])
    assert "cup" in str(answer.content)
    assert answer.usage_metadata
    assert "".join(str(each.content) for each in model.stream([question])) == answer.content
    cafe = model.with_structured_output(Cafe).invoke([question])
    assert isinstance(cafe, Cafe)
    assert cafe.people_count == 0
    block = {"type": "image", "source_type": "base64", "mime_type": "image/png"}
    block["data"] = coffee.partition(",")[2]
    again = model.invoke([HumanMessage([content[0], block])])
    assert again.content == answer.content


LITELLM = """
import json, sys
import litellm
url, key, picture, limited = json.load(sys.stdin)
said = lambda picture: [{"role": "user", "content": [
    {"type": "text", "text": "What's in this image?"},
    {"type": "image_url", "image_url": picture}]}]
def ask(model="openai/gpt-4o", url=url, key=key, picture=picture, **more):
    try:
        return litellm.completion(model=model, api_base=url + "/v1", api_key=key,
                                  messages=said(picture), num_retries=0, max_retries=0, **more)
    except Exception as error:
        return type(error).__name__
out = {}
out["text"] = ask(max_tokens=300).choices[0].message.content
out["vllm"] = ask("hosted_vllm/ocelli-local").choices[0].message.content
out["stream"] = "".join(each.choices[0].delta.content or "" for each in ask(stream=True))
out["image"] = ask(picture="http://10.0.0.1/a.png")
out["key"] = ask(key="sk-wrong")
out["model"] = ask("openai/gpt-9")
out["broken"] = ask("openai/broken")
out["tools"] = ask(tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}])
out["limit"] = [ask(key=limited, picture="x") for _ in range(21)]
print(json.dumps(out))
"""


def test_litellm(chat: Server, coffee: str) -> None:
    """In a process of its own: its import warns of everything."""
    limited = chat.new_key("limited-litellm", "--tier", "free")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LITELLM],
        input=json.dumps([chat.url, chat.key, coffee, limited]),
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    out = json.loads(done.stdout.splitlines()[-1])
    assert "cup" in out["text"]
    assert out["vllm"] == out["stream"] == out["text"]
    assert out["image"] == "BadRequestError"
    assert out["key"] == "AuthenticationError"
    assert out["model"] == "NotFoundError"
    assert out["broken"] in ("ServiceUnavailableError", "InternalServerError")
    assert out["tools"] == "BadRequestError"
    assert set(out["limit"]) == {"BadRequestError", "RateLimitError"}
