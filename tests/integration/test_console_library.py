"""The library over HTTP: filters, and what is done with several pictures at once."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.conftest import Server
from tests.console_client import ConsoleClient, upload_as
from tests.integration.test_main_job import API, finished, noise
from tests.waiting import until

from aion import SyncAionVision, ValidationError

NAME = re.compile(r'aria-label="Select ([\w-]+\.png)"')


@pytest.fixture(scope="module")
def key(server: Server) -> str:
    return server.new_key("console-library")


@pytest.fixture(scope="module")
def client(server: Server, key: str) -> ConsoleClient:
    return ConsoleClient(server, key)


@pytest.fixture(scope="module")
def ids(server: Server, key: str, photos: dict[str, Path]) -> dict[str, str]:
    """Of a described photo, of one that failed, and of one that was never to be described."""
    made = {
        "coffee.png": upload_as(server, key, photos["coffee"].read_bytes(), "coffee.png"),
        "page.png": upload_as(server, key, photos["page"].read_bytes(), "page.png"),
        "broken.png": upload_as(server, key, cut_off(noise(780_001)), "broken.png"),
        "plain.png": upload_as(server, key, noise(780_002), "plain.png", auto_describe="false"),
    }
    for name in ("coffee.png", "page.png", "broken.png"):
        finished(server, made[name], headers=bearer(key))
    return made


def cut_off(data: bytes) -> bytes:
    """The file without its second half."""
    return data[: len(data) // 2]


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def details(server: Server, key: str, id: str) -> Any:
    address = f"{server.url}{API}/user-files/{id}"
    return requests.get(address, headers=bearer(key), timeout=60).json()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"coffee.png", "page.png", "broken.png", "plain.png"}),
        ("search=cup", {"coffee.png"}),
        ("search=segmentation&mode=visible_text", {"page.png"}),
        ("search=cup&mode=visible_text", set()),
        ("tags=cup", {"coffee.png"}),
        ("tags=cup,nothing", set()),
        ("state=described", {"coffee.png", "page.png"}),
        ("state=failed", {"broken.png"}),
        ("state=none", {"plain.png"}),
        ("state=under_way", set()),
        ("confidence=high", {"page.png"}),
        ("confidence=middle&search=cup", {"coffee.png"}),
        ("confidence=low", set()),
        ("color=brown&state=described", {"coffee.png"}),
        ("color=%23808080&state=described", {"page.png"}),
        ("taken_from=2001-01-01&state=described", {"coffee.png", "page.png"}),
        ("taken_to=2001-01-01", set()),
        ("state=&confidence=&color=&taken_from=&taken_to=&tags=&search=cup", {"coffee.png"}),
    ],
)
def test_filters(
    client: ConsoleClient, ids: dict[str, str], query: str, expected: set[str]
) -> None:
    answer = client.get(f"/library?{query}")
    assert answer.status_code == 200
    assert set(NAME.findall(answer.text)) == expected
    for order in ("added", "taken", "title", "size"):
        ordered = client.get(f"/library?{query}&order={order}").text
        assert set(NAME.findall(ordered)) == expected, order


def test_few_words_are_helped_by_meaning(client: ConsoleClient, ids: dict[str, str]) -> None:
    """No word of it is in what is said of the pictures."""

    def found() -> str | None:
        text = client.get("/library?search=hot+beverage").text
        return text if "coffee.png" in text else None

    page = until(found)
    assert "These mean something like it" in page
    assert NAME.findall(page)[0] == "coffee.png"
    assert "/api/v2/agents/search/images" in page
    words = client.get("/library?search=hot+beverage&mode=metadata").text
    assert "Nothing matches" in words


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"description_state": "failed"}, {"broken.png"}),
        ({"description_state": "none"}, {"plain.png"}),
        ({"min_confidence": 0.8}, {"page.png"}),
        ({"min_confidence": 0.5, "max_confidence": 0.8}, {"coffee.png"}),
        ({"color": "#8b5a2b", "has_description": True}, {"coffee.png"}),
        ({"color": "#8b5a2b", "description_state": "failed"}, set()),
    ],
)
def test_the_api_has_the_same_filters(
    server: Server, key: str, ids: dict[str, str], filters: dict[str, Any], expected: set[str]
) -> None:
    with SyncAionVision(key, base_url=f"{server.url}{API}") as sdk:
        found = sdk.files.list(**filters)
        assert {each.filename for each in found.files} == expected
        assert found.total_count == len(expected)
        with pytest.raises(ValidationError):
            sdk.files.list(color="blue")


@pytest.mark.parametrize(
    "query", ["color=nonsense", "state=lost", "confidence=2", "taken_from=yesterday", "mode=x"]
)
def test_filters_that_are_none(client: ConsoleClient, query: str) -> None:
    answer = client.get(f"/library?{query}")
    assert answer.status_code == 422
    assert "That does not fit" in answer.text


def test_a_failure_says_why(client: ConsoleClient, ids: dict[str, str]) -> None:
    page = html.unescape(client.get("/library?state=failed").text)
    assert 'class="failure"' in page
    assert "failed</span>" in page


def act(client: ConsoleClient, action: str, ids: list[str], **fields: str) -> requests.Response:
    return client.post("/library/actions", {"action": action, "ids": ids, **fields})


def told(client: ConsoleClient, answer: requests.Response) -> str:
    assert answer.status_code == 303, answer.text
    page = client.get(answer.headers["Location"].removeprefix("/console")).text
    found = re.search(r'<p class="notice good" role="status">([^<]*)</p>', page)
    assert found is not None
    return found[1]


def test_several_are_tagged(server: Server, client: ConsoleClient, key: str) -> None:
    several = [
        upload_as(server, key, noise(780_100 + n), f"tag-{n}.png", auto_describe="false")
        for n in range(3)
    ]
    answer = act(
        client, "tag", several, new_tags="holiday, sea ", of_search="tag", of_order="title"
    )
    assert "search=tag&order=title" in answer.headers["Location"]
    assert told(client, answer) == "3 pictures got the tags."
    for id in several:
        assert details(server, key, id)["tags"] == ["holiday", "sea"]
    act(client, "tag", several[:1], new_tags="sea,sun")
    assert details(server, key, several[0])["tags"] == ["holiday", "sea", "sun"]
    assert told(client, act(client, "delete", several)) == "3 pictures were deleted."


def test_several_are_described_again_retried_and_deleted(
    server: Server, client: ConsoleClient, key: str, ids: dict[str, str]
) -> None:
    id = upload_as(server, key, noise(780_200), "twice.png", auto_describe="false")
    answer = act(client, "describe", [id], level="quick")
    assert told(client, answer) == "1 picture will be described again."
    finished(server, id, headers=bearer(key))
    assert details(server, key, id)["verification_level"] == "quick"
    answer = act(client, "retry", [id, ids["broken.png"]])
    assert told(client, answer) == "1 picture will be tried again. 1 picture had not failed."
    finished(server, ids["broken.png"], headers=bearer(key))
    assert len(details(server, key, ids["broken.png"])["processing_history"]) == 3
    answer = act(client, "delete", [id])
    assert told(client, answer) == "1 picture was deleted."
    assert client.get(f"/pictures/{id}").status_code == 404


def test_several_are_exported(server: Server, client: ConsoleClient, ids: dict[str, str]) -> None:
    reader = ConsoleClient(server, server.new_key("console-library", "--scopes", "read"))
    chosen = [ids["coffee.png"], ids["page.png"]]
    for answer in (
        act(client, "export", chosen),
        reader.post("/library/export", {"ids": chosen}),
    ):
        assert answer.headers["Content-Disposition"].startswith("attachment")
        lines = [json.loads(line) for line in answer.text.splitlines()]
        assert {line["id"] for line in lines} == set(chosen)
        assert all(line["description"] for line in lines)
    assert act(reader, "delete", chosen).status_code == 403


def test_selections_that_are_none(server: Server, client: ConsoleClient) -> None:
    theirs = upload_as(
        server, server.new_key("console-else"), noise(780_300), auto_describe="false"
    )
    assert "Select some pictures first." in act(client, "delete", []).text
    for action, fields in (("sell", {}), ("describe", {"level": "deep"}), ("tag", {})):
        assert act(client, action, [theirs], **fields).status_code == 422
    assert act(client, "delete", ["nonsense"]).status_code == 422
    for action, fields in (
        ("describe", {"level": "quick"}),
        ("tag", {"new_tags": "mine"}),
        ("retry", {}),
        ("delete", {}),
    ):
        answer = act(client, action, [theirs], **fields)
        assert "done=0" in answer.headers["Location"], action
    assert act(client, "export", [theirs]).text == ""
