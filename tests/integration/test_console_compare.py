"""Comparing over HTTP: several pictures, asked in several ways, and previews of them."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Server
from tests.console_client import ConsoleClient, upload_as
from tests.integration.test_main_job import finished, noise
from tests.waiting import until

LOCAL = "ocelli-local"
TWO_WAYS = {"ask0": f"quick {LOCAL}", "ask1": f"standard {LOCAL}"}
PREVIEW = re.compile(r"/compare/previews/[0-9a-f-]{36}")


@pytest.fixture(scope="module")
def key(server: Server) -> str:
    return server.new_key("console-compare")


@pytest.fixture(scope="module")
def client(server: Server, key: str) -> ConsoleClient:
    return ConsoleClient(server, key)


def compared(client: ConsoleClient, fields: dict[str, str], files: Any = None) -> Any:
    return client.post("/compare", {**TWO_WAYS, **fields}, files=files or {"file": ("", b"")})


def answered(client: ConsoleClient, address: str) -> str:
    """The page once all answers are there."""
    path = address.partition("/console")[2]

    def page() -> str | None:
        text = client.get(path).text
        return None if "This page follows" in text else text

    return html.unescape(until(page))


def test_several_pictures_in_several_ways(
    server: Server, client: ConsoleClient, key: str, photos: dict[str, Path]
) -> None:
    id = upload_as(server, key, photos["coffee"].read_bytes(), "coffee.png")
    finished(server, id, headers={"Authorization": f"Bearer {key}"})
    files = [
        ("file", ("<b>page.png", photos["page"].read_bytes())),
        ("file", ("broken.png", b"no picture")),
    ]
    sent = compared(client, {"picture0": id}, files)
    assert sent.status_code == 303
    page = answered(client, sent.headers["Location"])
    assert page.count("2 of 3") == 2
    assert page.count("1 failed") == 2
    assert "<bdi>coffee.png</bdi>" in page
    assert page.count('class="card compared-picture"') == 3
    assert "Claims on which all agree" in page
    previews = list(dict.fromkeys(PREVIEW.findall(page)))
    assert len(previews) == 3
    answers = [client.get(each) for each in previews]
    assert sorted(each.status_code for each in answers) == [200, 200, 404]
    shown = next(each for each in answers if each.ok)
    assert shown.headers["Content-Type"] == "image/jpeg"
    assert shown.content.startswith(b"\xff\xd8")
    stranger = ConsoleClient(server, server.new_key("console-compare-stranger"))
    assert {stranger.get(each).status_code for each in previews} == {404}
    path = sent.headers["Location"].partition("/console")[2]
    assert stranger.get(path).status_code == 404


@pytest.mark.parametrize(
    ("fields", "files", "said"),
    [
        ({"ask1": ""}, None, "Choose two to 4 ways to ask; 1 are chosen."),
        ({}, None, "Choose one to 20 pictures"),
        ({}, [("file", (f"{n}.png", b"x")) for n in range(21)], "Choose one to 20 pictures"),
        ({"urls": "\n".join(f"https://a.example/{n}" for n in range(21))}, None, "21 are chosen"),
        ({"ask1": "standard nobody", "urls": "https://a.example/1"}, None, "No backend 'nobody'"),
        ({"picture0": "nonsense"}, None, "nonsense"),
    ],
)
def test_what_cannot_be_compared(
    client: ConsoleClient, fields: dict[str, str], files: Any, said: str
) -> None:
    answer = compared(client, fields, files)
    assert answer.status_code in (404, 422)
    assert said in html.unescape(answer.text)


def test_what_is_selected_in_the_library_is_compared(
    server: Server, client: ConsoleClient, key: str
) -> None:
    ids = [
        upload_as(server, key, noise(781_000 + n), f"{n}.png", auto_describe="false")
        for n in range(2)
    ]
    led = client.post("/library/actions", {"action": "compare", "ids": ids})
    assert led.status_code == 303
    page = client.get(led.headers["Location"].partition("/console")[2]).text
    assert all(f'value="{id}" checked' in page for id in ids)
    many = [f"00000000-0000-0000-0000-{n:012}" for n in range(21)]
    refused = client.post("/library/actions", {"action": "compare", "ids": many})
    assert refused.status_code == 422
    assert "At most 20 pictures" in refused.text
