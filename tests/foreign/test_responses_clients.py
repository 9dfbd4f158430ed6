"""Clients of OpenAI's Responses, in their default modes, against ``ocelli serve``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, NativeOutput
from pydantic_ai.models.openai import OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

from tests.chat.conftest import data_url
from tests.chat.upstream import WORDS
from tests.conftest import Server

LOCAL = "ocelli-local"
HERE = Path(__file__).parent


class Cafe(BaseModel):
    """What a client asks for."""

    description: str
    tags: list[str]


@pytest.fixture(scope="module")
def photo(photos: dict[str, Path]) -> bytes:
    return photos["coffee"].read_bytes()


@pytest.fixture(scope="module")
def question(photo: bytes) -> Any:
    parts = [
        {"type": "input_text", "text": "What is in this picture?"},
        {"type": "input_image", "image_url": data_url(photo, "image/jpeg")},
    ]
    return [{"role": "user", "content": parts}]


@pytest.fixture(scope="module", params=["/v1", ""])
def client(chat: Server, request: pytest.FixtureRequest) -> Iterator[openai.OpenAI]:
    base = chat.url + request.param
    with openai.OpenAI(base_url=base, api_key=chat.key, max_retries=0) as client:
        yield client


def test_openai_responses(client: openai.OpenAI, question: Any) -> None:
    answer = client.responses.create(model=LOCAL, input=question)
    assert "cup" in answer.output_text
    assert answer.usage
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
    with client.responses.stream(model=LOCAL, input=question) as stream:
        kinds = [event.type for event in stream]
        assert stream.get_final_response().output_text == answer.output_text
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    parsed = client.responses.parse(model=LOCAL, input=question, text_format=Cafe).output_parsed
    assert parsed
    assert "cup" in parsed.description
    more = client.responses.create(
        model=LOCAL, input="Which colours are there?", previous_response_id=answer.id
    )
    assert "brown" in more.output_text
    assert client.responses.retrieve(answer.id).output_text == answer.output_text
    assert len(list(client.responses.input_items.list(answer.id))) == 1
    client.responses.delete(answer.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(answer.id)


def test_openai_tells_what_went_wrong(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIError, match="hung up"):
        for _ in client.responses.create(model="dying", input="x", stream=True):
            pass
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model=LOCAL, input="x", background=True)
    assert refused.value.param == "background"
    assert client.responses.create(model="good", input="x").output_text == "".join(WORDS)


@pytest.mark.parametrize("output", [Cafe, NativeOutput(Cafe)], ids=["tool", "native"])
async def test_pydantic_ai(chat: Server, photo: bytes, output: Any) -> None:
    """Its defaults: a tool that must be called."""
    async with openai.AsyncOpenAI(base_url=f"{chat.url}/v1", api_key=chat.key) as client:
        model = OpenAIResponsesModel(LOCAL, provider=OpenAIProvider(openai_client=client))
        agent: Agent[None, Any] = Agent(model, output_type=output)
        picture = BinaryContent(photo, media_type="image/jpeg")
        done = await agent.run(["What is in this picture?", picture])
    assert isinstance(done.output, Cafe)
    assert "cup" in done.output.description


def test_instructor(client: openai.OpenAI, question: Any) -> None:
    """A form and a forced tool at once."""
    instructor = pytest.importorskip("instructor")
    asking = instructor.from_openai(client, mode=instructor.Mode.RESPONSES_TOOLS)
    cafe = asking.responses.create(model=LOCAL, input=question, response_model=Cafe, max_retries=0)
    assert "cup" in cafe.description


LITELLM = """
import json, sys
import litellm
url, key, question = json.load(sys.stdin)
answer = litellm.responses(
    model="openai/ocelli-local", input=question, api_base=url + "/v1", api_key=key)
print(json.dumps(answer.output[0].content[0].text))
"""


def run(command: list[str], given: Any) -> Any:
    """What a program prints, as its last line in JSON."""
    done = subprocess.run(
        command,
        input=json.dumps(given),
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_litellm_responses(chat: Server, question: Any) -> None:
    given = [chat.url, chat.key, question]
    assert "cup" in run([sys.executable, "-W", "ignore", "-c", LITELLM], given)


@pytest.mark.skipif(
    shutil.which("node") is None or not (HERE / "node_modules" / "ai").exists(),
    reason="needs node and `npm install` in tests/foreign",
)
def test_ai_sdk(chat: Server, photo: bytes) -> None:
    """Its second turn refers to the message of the first by its id."""
    given = {"url": chat.url, "key": chat.key, "picture": data_url(photo, "image/jpeg")}
    said = run(["node", str(HERE / "responses.mjs")], given)
    assert "cup" in said["first"]
    assert said["streamed"] == said["first"]
    assert "cup" in said["object"]["description"]
    assert "brown" in said["second"]
    assert said["cut"] == "length"
