"""Clients that get structured answers by forcing a tool, in their default modes.

instructor is not in the lock; see ``requirements.txt`` here.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import openai
import pytest
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, Field, SecretStr
from pydantic_ai import Agent, BinaryContent, ToolOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from tests.chat.conftest import data_url, said
from tests.conftest import Server


class Setting(StrEnum):
    """Where it is."""

    INDOORS = "indoors"
    OUTDOORS = "outdoors"


class Cafe(BaseModel):
    """What a client asks for."""

    description: str = Field(description="One sentence.")
    tags: list[str]
    people_count: int = Field(ge=0)
    has_text: bool = False
    mood: str | None = None


class Nested(BaseModel):
    """The same, one level down."""

    picture: Cafe
    kind: Literal["image"] = "image"


@pytest.fixture(scope="module")
def photo(photos: dict[str, Path]) -> bytes:
    return photos["coffee"].read_bytes()


def check(cafe: object) -> None:
    assert isinstance(cafe, Cafe)
    assert "cup" in cafe.description
    assert any("cup" in tag for tag in cafe.tags)
    assert cafe.people_count == 0


@pytest.fixture(scope="module")
def client(chat: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{chat.url}/v1", api_key=chat.key, max_retries=0)


def test_instructor(client: openai.OpenAI, photo: bytes) -> None:
    instructor = pytest.importorskip("instructor")
    asking = instructor.from_openai(client)
    messages: Any = said("What's in this image?", data_url(photo))
    check(
        asking.chat.completions.create(
            model="ocelli-local", response_model=Cafe, messages=messages, max_retries=0
        )
    )
    nested = asking.chat.completions.create(
        model="ocelli-local", response_model=Nested, messages=messages, max_retries=0
    )
    check(nested.picture)
    *_, last = asking.chat.completions.create_partial(
        model="ocelli-local", response_model=Cafe, messages=messages, max_retries=0
    )
    assert "cup" in last.description
    several = asking.chat.completions.create_iterable(
        model="ocelli-local", response_model=Cafe, messages=messages, max_retries=0
    )
    (only,) = several
    check(only)


async def test_pydantic_ai(chat: Server, photo: bytes) -> None:
    asked: list[str | BinaryContent] = [
        "What's in this image?",
        BinaryContent(data=photo, media_type="image/png"),
    ]
    async with openai.AsyncOpenAI(base_url=f"{chat.url}/v1", api_key=chat.key) as client:
        model = OpenAIChatModel("ocelli-local", provider=OpenAIProvider(openai_client=client))
        agent = Agent(model, output_type=Cafe, instructions="Look closely.")
        check((await agent.run(asked)).output)
        async with agent.run_stream(asked) as stream:
            check(await stream.get_output())
        named = Agent(model, output_type=ToolOutput(Cafe, name="describe"))
        check((await named.run(asked)).output)
        several: Agent[None, Cafe | Nested] = Agent(model, output_type=[Cafe, Nested])
        assert isinstance((await several.run(asked)).output, Cafe | Nested)
        assert "cup" in (await Agent(model).run(asked)).output


def test_langchain(chat: Server, photo: bytes) -> None:
    model = ChatOpenAI(
        model="ocelli-local", base_url=f"{chat.url}/v1", api_key=SecretStr(chat.key), max_retries=0
    )
    message = HumanMessage(content=said("What's in this image?", data_url(photo))[0]["content"])
    for method in ("function_calling", "json_schema"):
        check(model.with_structured_output(Cafe, method=method).invoke([message]))
    raw = model.with_structured_output(Cafe, method="function_calling", include_raw=True)
    found: Any = raw.invoke([message])
    check(found["parsed"])
    bound = model.bind_tools([Cafe], tool_choice="any").invoke([message])
    check(Cafe.model_validate(bound.tool_calls[0]["args"]))
    for piece in model.with_structured_output(Cafe, method="function_calling").stream([message]):
        last = piece
    check(last)
