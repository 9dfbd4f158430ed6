"""``/user-files`` over HTTP: finding, changing, deleting."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.conftest import Server
from tests.integration.test_main_job import API, finished, get, noise, upload
from tests.waiting import until

from aion.types.files import UserFile, UserFileDetails


def send(server: Server, method: str, path: str, **options: Any) -> Any:
    options.setdefault("headers", server.headers)
    return requests.request(method, f"{server.url}{API}{path}", timeout=60, **options)


def add(server: Server, seed: int, headers: dict[str, str] | None = None, **fields: Any) -> str:
    answer = requests.post(
        f"{server.url}{API}/user-files/upload/stream",
        headers=headers or server.headers,
        files={"file": (f"n{seed}.png", noise(seed))},
        data={"auto_describe": "false", **fields},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["image_id"])


@pytest.fixture(scope="module")
def tenant(server: Server) -> dict[str, str]:
    key = server.new_key(f"files-{uuid.uuid4()}", "--tier", "enterprise")
    return {"Authorization": f"Bearer {key}"}


def listed(server: Server, headers: dict[str, str], query: str) -> list[str]:
    answer = get(server, f"/user-files?{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["total_count"] == len(answer.json()["files"])
    return [file["id"] for file in answer.json()["files"]]


def test_a_described_photo_is_found_by_what_was_said(
    server: Server, photos: dict[str, Path], tenant: dict[str, str]
) -> None:
    answer = requests.post(
        f"{server.url}{API}/user-files/upload/stream",
        headers=tenant,
        files={"file": ("coffee.png", photos["coffee"].read_bytes())},
        data={"title": "Frühstück"},
        timeout=60,
    )
    id = answer.json()["image_id"]
    finished(server, id, tenant)
    for query in (
        "search=cups",
        "search=fruhstuck&search_mode=metadata",
        "search=FRÜHST&has_description=true",
        "tags=cup",
        f"ids={id}&media_types=image&media_types=video",
    ):
        assert listed(server, tenant, query) == [id], query
    for query in (
        "search=cups&search_mode=visible_text",
        "search=zebra",
        "has_description=false",
        "folder_id=x",
        "media_types=video",
        "tags=cup&tags=zebra",
        "date_to=2020-01-01",
        "date_from=2999-01-01T00:00:00Z",
        f"ids={uuid.uuid4()}",
    ):
        assert listed(server, tenant, query) == [], query


def test_fields_of_videos_documents_and_links_are_there(
    server: Server, tenant: dict[str, str]
) -> None:
    id = add(server, 91, tenant)
    (row,) = get(server, f"/user-files?ids={id}", headers=tenant).json()["files"]
    details = get(server, f"/user-files/{id}", headers=tenant).json()
    for field in UserFile.__dataclass_fields__:
        assert field in row, field
    for field in UserFileDetails.__dataclass_fields__:
        assert field in details, field


def test_orders(server: Server) -> None:
    headers = {"Authorization": f"Bearer {server.new_key('orders', '--tier', 'enterprise')}"}
    ids = [
        add(server, seed, headers, title=title)
        for seed, title in ((601, "b b"), (602, "a b"), (603, "c"))
    ]
    assert listed(server, headers, "") == ids[::-1]
    assert listed(server, headers, "sort_order=asc") == ids
    by_title = [ids[1], ids[0], ids[2]]
    assert listed(server, headers, "sort_by=title&sort_order=asc") == by_title
    assert listed(server, headers, "sort_by=title") == by_title[::-1]
    assert listed(server, headers, "search=b") == ids[:2], "twice is more relevant"
    assert listed(server, headers, "search=b&sort_by=created_at") == ids[1::-1]
    page = get(server, "/user-files?sort_by=title&limit=1&offset=1", headers=headers).json()
    assert (page["files"][0]["id"], page["total_count"], page["has_more"]) == (ids[0], 3, True)


@pytest.mark.parametrize(
    "query",
    [
        "search_mode=some",
        "sort_by=color",
        "sort_order=up",
        "media_types=smell",
        "ids=1",
        "date_from=yesterday",
        "search=" + "x" * 501,
        "search=a%00b",
        "tags=a%00b",
        "limit=0",
        "limit=101",
        "&".join(f"ids={uuid.uuid4()}" for _ in range(501)),
    ],
)
def test_bad_queries(server: Server, query: str) -> None:
    answer = get(server, f"/user-files?{query}")
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "VALIDATION_ERROR"


@pytest.mark.parametrize(
    "text", ["' OR 1=1 --", "<script>alert(1)</script>", '"', "((", ":*", "\\", "%", "😀", " "]
)
def test_any_text_is_a_search(server: Server, text: str) -> None:
    answer = get(server, "/user-files", params={"search": text, "tags": [text]})
    assert answer.status_code == 200


def test_a_person_changes_title_and_tags(server: Server) -> None:
    id = add(server, 610)
    answer = send(server, "PATCH", f"/user-files/{id}", json={"title": "Mine", "tags": ["x", "y"]})
    assert answer.status_code == 200
    assert set(answer.json()) >= {"id", "title", "tags", "updated_at"}
    assert (answer.json()["title"], answer.json()["tags"]) == ("Mine", ["x", "y"])
    answer = send(server, "PATCH", f"/user-files/{id[:8]}", json={"tags": []})
    assert (answer.json()["title"], answer.json()["tags"]) == ("Mine", [])
    answer = send(server, "PATCH", f"/user-files/{id}", json={"title": ""})
    assert answer.json()["title"] is None
    file = get(server, f"/user-files/{id}").json()
    assert (file["title"], file["tags"]) == (None, [])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"title": None, "tags": None}, 422),
        ({"title": "x" * 256}, 422),
        ({"title": "a\0b"}, 422),
        ({"tags": ["x"] * 41}, 422),
        ({"tags": ["x" * 51]}, 422),
        ({"tags": ["x/" * 2_000]}, 422),
        ({"tags": "x"}, 422),
        ("not an object", 422),
    ],
)
def test_bad_changes(server: Server, body: Any, status: int) -> None:
    id = add(server, 611)
    answer = send(server, "PATCH", f"/user-files/{id}", json=body)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == "VALIDATION_ERROR"


def test_machines_do_not_overwrite_people(server: Server, photos: dict[str, Path]) -> None:
    data = photos["chelsea"].read_bytes()
    id = upload(server, data, "c.png", title="Chelsea", tags="pet").json()["image_id"]
    file = finished(server, id)
    assert (file["title"], file["tags"]) == ("Chelsea", ["pet"])
    assert "cat" in file["ai_tags"]
    assert listed(server, server.headers, f"ids={id}&tags=pet&tags=cat") == [id]


def test_batch_delete(server: Server) -> None:
    ids = [add(server, seed) for seed in (620, 621)]
    for id in ids:
        finished(server, id)
    unknown = str(uuid.uuid4())
    answer = send(
        server,
        "POST",
        "/user-files/batch-delete",
        json={"file_ids": [ids[0], unknown, ids[1][:8], "x", ids[0]]},
    )
    assert answer.status_code == 200
    body = answer.json()
    assert body["summary"] == {"total": 4, "deleted": 2, "skipped": 0, "failed": 2}
    assert [each["id"] for each in body["deleted"]] == ids
    assert all(each["deleted_at"] and each["status"] == "deleted" for each in body["deleted"])
    assert [each["id"] for each in body["failed"]] == [unknown, "x"]
    assert get(server, f"/user-files/{ids[0]}").status_code == 404


@pytest.mark.parametrize("ids", [[], ["x"] * 101, ["x" * 37], "x", [1]])
def test_bad_batch_deletes(server: Server, ids: Any) -> None:
    answer = send(server, "POST", "/user-files/batch-delete", json={"file_ids": ids})
    assert answer.status_code == 422


def test_variants_are_made_again(server: Server) -> None:
    id = add(server, 630)
    finished(server, id)
    answer = send(server, "POST", f"/user-files/{id}/trigger-variants")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["success"], body["image_id"], body["current_status"]) == (True, id, "pending")
    assert not body["skipped_duplicate"]
    until(lambda: get(server, f"/user-files/{id}").json()["variant_status"] == "completed")
    missing = send(server, "POST", f"/user-files/{uuid.uuid4()}/trigger-variants")
    assert missing.status_code == 404


def test_strangers_change_nothing(server: Server, tenant: dict[str, str]) -> None:
    id = add(server, 640, title="Secret garden", tags="hidden")
    finished(server, id)
    assert listed(server, tenant, "search=garden") == []
    assert listed(server, tenant, "tags=hidden") == []
    assert listed(server, tenant, f"ids={id}") == []
    answer = send(server, "PATCH", f"/user-files/{id}", json={"title": "x"}, headers=tenant)
    assert answer.status_code == 404
    answer = send(server, "POST", f"/user-files/{id}/trigger-variants", headers=tenant)
    assert answer.status_code == 404
    answer = send(
        server, "POST", "/user-files/batch-delete", json={"file_ids": [id]}, headers=tenant
    )
    assert answer.json()["summary"]["failed"] == 1
    assert get(server, f"/user-files/{id}").json()["title"] == "Secret garden"
