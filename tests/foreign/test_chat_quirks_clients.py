"""What other people's clients see of quirky servers: directly, and through us.

``pytest -s`` shows the table. OpenAI's JavaScript client takes part where it is installed:
``npm install --prefix tests/foreign``.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from langchain_openai import ChatOpenAI

from tests.chat.conftest import said
from tests.chat.quirks import BAD, GOOD
from tests.chat.upstream import WORDS, Upstream
from tests.conftest import Server

HERE = Path(__file__).parent
MESSAGES = said("What is it?")
TEXT = "".join(WORDS)
QUIRKS = {**GOOD, **BAD}

Ask = Callable[[str, str, str, dict[str, Any]], str]


def python(url: str, key: str, model: str, play: dict[str, Any]) -> str:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=10)
    text = ""
    try:
        for each in client.chat.completions.create(
            model=model,
            messages=MESSAGES,
            stream=True,
            extra_body={"script": play},
        ):
            text += each.choices[0].delta.content or ""
    except Exception as error:
        return f"{text}{type(error).__name__}"
    return text


def langchain(url: str, key: str, model: str, play: dict[str, Any]) -> str:
    chat = ChatOpenAI(
        base_url=f"{url}/v1",
        api_key=key,
        model=model,
        max_retries=0,
        timeout=10,
        extra_body={"script": play},
    )
    text = ""
    try:
        for each in chat.stream("What is it?"):
            text += str(each.content)
    except Exception as error:
        return f"{text}{type(error).__name__}"
    return text


def javascript(url: str, key: str, model: str, play: dict[str, Any]) -> str:
    asked = json.dumps({"url": f"{url}/v1", "key": key, "model": model, "script": play})
    done = subprocess.run(
        ["node", HERE / "stream.mjs"],
        input=asked,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


CLIENTS: dict[str, Ask] = {"openai": python, "langchain": langchain, "openai (js)": javascript}


@pytest.mark.parametrize("client", CLIENTS)
def test_quirks(chat: Server, upstream: Upstream, client: str) -> None:
    if client == "openai (js)" and not (
        shutil.which("node") and (HERE / "node_modules/openai").exists()
    ):
        pytest.skip("npm install --prefix tests/foreign")
    ask = CLIENTS[client]
    print(f"\n\n| quirk | {client}, directly | {client}, through us |\n|---|---|---|")
    for name, play in QUIRKS.items():
        model = "silent" if play["end"] == "silence" else "scripted"
        direct = ask(upstream.url, "sk-ours", "scripted", play)
        ours = ask(chat.url, chat.key, model, play)
        print(f"| {name} | {direct or 'nothing'} | {ours} |")
        assert ours == (TEXT if name in GOOD else f"{WORDS[0]}APIError"), name
