"""Lists by cursor, over HTTP: rows that are deleted or added meanwhile shift nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
from tests.conftest import Server
from tests.integration.test_main_job import API, finished, get, noise, upload
from tests.integration.test_sessions import ended

from ocelli.api.cursors import LONGEST, PATTERN, from_cursor, to_cursor
from ocelli.domain.errors import ValidationFailed

Meanwhile = Callable[[list[Any]], object]


def listed(
    server: Server, path: str, rows: str, meanwhile: Meanwhile = len, **query: Any
) -> list[dict[str, Any]]:
    """All rows of a list, two at a time; ``meanwhile`` is called with the rows so far."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        answer = get(server, path, params={"limit": 2, "cursor": cursor, **query}).json()
        found += answer[rows]
        where = answer.get("pagination") or answer.get("page_info") or answer
        cursor = where["next_cursor"]
        assert cursor is None or where.get("has_more", where.get("has_next", True))
        if cursor is None:
            return found
        meanwhile(found)


@pytest.fixture(scope="module")
def pictures(server: Server) -> list[str]:
    """Ids of pictures that are described, newest first."""
    ids = [upload(server, noise(100 + number)).json()["image_id"] for number in range(5)]
    for id in ids:
        finished(server, id)
    return ids[::-1]


def call(server: Server, method: str, path: str, **options: Any) -> Any:
    url = f"{server.url}{API}{path}"
    answer = requests.request(method, url, headers=server.headers, timeout=60, **options)
    assert answer.ok, answer.text
    return answer.json() if answer.content else None


def test_files(server: Server, pictures: list[str]) -> None:
    mine: dict[str, Any] = {"ids": [*pictures]}

    def meanwhile(found: list[Any]) -> None:
        if len(found) == 2:
            call(server, "DELETE", f"/user-files/{found[0]['id']}")

    fresh = [upload(server, noise(n), auto_describe="false").json()["image_id"] for n in (200, 201)]
    mine["ids"] += fresh
    found = listed(server, "/user-files", "files", meanwhile, **mine, sort_by="created_at")
    assert [each["id"] for each in found] == [*fresh[::-1], *pictures]
    left = listed(server, "/user-files", "files", **mine)
    assert len(left) == len(found) - 1


def test_descriptions(server: Server, pictures: list[str]) -> None:
    found = listed(
        server,
        "/data/descriptions",
        "results",
        lambda found: finished(server, upload(server, noise(len(found))).json()["image_id"]),
    )
    assert [each["image_id"] for each in found if each["image_id"] in pictures] == pictures
    assert len({each["id"] for each in found}) == len(found)


def test_keys(server: Server) -> None:
    def create(name: str) -> str:
        return str(call(server, "POST", "/api-keys", json={"name": name})["id"])

    ids = [create(f"paging {number}") for number in range(5)][::-1]

    def meanwhile(found: list[Any]) -> None:
        if len(found) == 2:
            call(server, "DELETE", f"/api-keys/{found[0]['id']}")
            create("paging, late")

    found = [each["id"] for each in listed(server, "/api-keys", "api_keys", meanwhile)]
    assert found[:5] == ids
    assert len(set(found)) == len(found)


def send_batch(server: Server, *numbers: int) -> str:
    files = [("files", (f"{n}.png", noise(300 + n), "image/png")) for n in numbers]
    answer = call(server, "POST", "/user-files/upload/stream-batch", files=files)
    return str(answer["session_id"])


def test_sessions_and_their_results(server: Server) -> None:
    ids = [send_batch(server, number, number + 50) for number in range(3)][::-1]
    found = listed(
        server,
        "/uploads/sessions",
        "sessions",
        lambda found: len(found) > 2 or send_batch(server, 9),
    )
    assert [each["session_id"] for each in found][:3] == ids
    five = send_batch(server, 90, 91, 92, 93, 94)
    ended(server, five)
    results = listed(server, f"/uploads/sessions/{five}/results", "results")
    assert [each["filename"] for each in results] == [f"{n}.png" for n in range(90, 95)]


REFUSED = ["", "x", "!!", "bnVsbA", to_cursor("keys", ("2026-01-01T00:00:00", "x"))]


@pytest.mark.parametrize("cursor", REFUSED)
@pytest.mark.parametrize(
    "path", ["/user-files", "/api-keys", "/uploads/sessions", "/reviews", "/reviews/labels"]
)
def test_cursors_that_are_none(server: Server, path: str, cursor: str) -> None:
    answer = get(server, path, params={"cursor": cursor})
    assert answer.status_code == 422
    assert "cursor" in answer.text


def test_the_longest_cursor_is_an_address_that_can_be_sent(server: Server) -> None:
    """Of other characters than a cursor has, four bytes and more each, it would not be."""
    schema = requests.get(f"{server.url}/openapi.json", timeout=60).json()
    cursors = [
        parameter["schema"]
        for item in schema["paths"].values()
        for operation in item.values()
        for parameter in operation.get("parameters", ())
        if parameter["name"] == "cursor"
    ]
    assert len(cursors) > 5
    for each in cursors:
        (text,) = (kind for kind in each["anyOf"] if kind["type"] == "string")
        assert text["pattern"] == PATTERN
    answer = get(server, "/reviews", params={"cursor": "a" * LONGEST})
    assert answer.status_code == 422


def test_cursors_of_another_order(server: Server, pictures: list[str]) -> None:
    first = get(server, "/user-files", params={"limit": 1}).json()["next_cursor"]
    for query in ({"sort_by": "title"}, {"sort_order": "asc"}, {"search": "a"}):
        answer = get(server, "/user-files", params={"cursor": first, **query})
        assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("key", [(True,), (2**70,), (1, 2), (None,), ("1",), ()])
def test_keys_of_other_types(key: tuple[Any, ...]) -> None:
    with pytest.raises(ValidationFailed):
        from_cursor(to_cursor("x", key), "x", int)


def test_a_number_beyond_all_fractions() -> None:
    with pytest.raises(ValidationFailed):
        from_cursor(to_cursor("x", (10**400,)), "x", float)
