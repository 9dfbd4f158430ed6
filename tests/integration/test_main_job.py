"""The main job over HTTP: a picture in, a true description out."""

from __future__ import annotations

import concurrent.futures
import io
import json
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from PIL import Image
from tests.conftest import Server
from tests.waiting import until

API = "/api/v2"


def upload(server: Server, data: bytes, name: str = "photo.jpg", **fields: Any) -> Any:
    return requests.post(
        f"{server.url}{API}/user-files/upload/stream",
        headers=server.headers,
        files={"file": (name, data)},
        data=fields,
        timeout=60,
    )


def get(server: Server, path: str, **options: Any) -> Any:
    options.setdefault("headers", server.headers)
    return requests.get(f"{server.url}{API}{path}", timeout=60, **options)


def finished(server: Server, id: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """The file's details once nothing changes any more."""
    headers = headers or server.headers

    def is_final() -> bool:
        answer = get(server, f"/uploads/status/{id}", headers=headers)
        if answer.status_code == 503:  # the database is coming back
            assert answer.headers["Retry-After"]
            return False
        return bool(answer.json()["is_terminal"])

    until(is_final, every=0.05)
    return dict(get(server, f"/user-files/{id}", headers=headers).json())


def noise(seed: int, side: int = 64) -> bytes:
    """A picture that no other test uploads."""
    pixels = np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def test_a_photo_is_described(server: Server, photos: dict[str, Path]) -> None:
    answer = upload(server, photos["coffee"].read_bytes(), "coffee.png", title="Morning")
    assert answer.status_code == 200
    accepted = answer.json()
    assert accepted["upload_method"] == "STREAMING"
    assert accepted["description_queued"]
    assert accepted["variants_queued"]
    file = finished(server, accepted["image_id"])
    assert "cup" in file["upload_description"].lower()
    assert file["title"] == "Morning"
    assert file["description_status"] == "completed"
    (description,) = file["full_descriptions"]
    assert description["source"] == "ocelli-local"
    assert isinstance(description["processing_time_ms"], int)
    assert 0 < description["confidence_score"] <= 1
    assert "cup" in description["tags"]
    assert {step["operation_type"] for step in file["processing_history"]} == {
        "describe",
        "variants",
    }


def test_the_short_id_works(server: Server, photos: dict[str, Path]) -> None:
    id = upload(server, photos["rocket"].read_bytes()).json()["image_id"]
    assert get(server, f"/user-files/{id[:8]}").json()["id"] == id
    assert get(server, f"/uploads/status/{id[:8]}").json()["image_id"] == id
    assert get(server, f"/user-files/{id[:7]}").status_code == 404


def test_variants_and_downloads_need_no_key_once_signed(
    server: Server, photos: dict[str, Path]
) -> None:
    original = photos["china"].read_bytes()
    id = upload(server, original, "a “quoted” ünïcode name.jpg").json()["image_id"]
    file = finished(server, id)
    assert file["variant_count"] == 5
    for name, side in (("tiny_64", 64), ("small_256", 256), ("large_1024", 640)):
        redirect = get(server, f"/user-files/{id}/variant/{name}", allow_redirects=False)
        assert redirect.status_code == 302
        variant = requests.get(redirect.headers["Location"], timeout=60)
        assert variant.headers["Content-Type"] == "image/webp"
        assert max(Image.open(io.BytesIO(variant.content)).size) == side
    redirect = get(server, f"/user-files/{id}/download", allow_redirects=False)
    download = requests.get(redirect.headers["Location"], timeout=60)
    assert download.content == original
    assert download.headers["Content-Disposition"].startswith("attachment; filename*=UTF-8''a%20")
    assert requests.get(file["original_url"], timeout=60).content == original


def test_a_signed_url_is_good_for_nothing_else(server: Server, photos: dict[str, Path]) -> None:
    id = upload(server, photos["china"].read_bytes()).json()["image_id"]
    url = finished(server, id)["original_url"]
    other = upload(server, photos["flower"].read_bytes()).json()
    for tampered in (
        url.replace("image%2Fjpeg", "text%2Fhtml"),
        url.replace("expires=", "expires=9"),
        url[:-1] + ("0" if url[-1] != "0" else "1"),
        url.split("&signature")[0],
        url.split("?")[0],
        f"{server.url}/objects/{other['object_key']}?{url.split('?')[1]}",
        f"{server.url}/objects/../secret?{url.split('?')[1]}",
        f"{server.url}/objects/%2e%2e/secret?{url.split('?')[1]}",
    ):
        assert requests.get(tampered, timeout=60).status_code == 404, tampered


def test_the_list_pages(server: Server) -> None:
    key = server.new_key("pages")
    mine = {"Authorization": f"Bearer {key}"}
    ids = [
        requests.post(
            f"{server.url}{API}/user-files/upload/stream",
            headers=mine,
            files={"file": ("n.png", noise(seed))},
            data={"auto_describe": "false", "tags": "a, b ,a"},
            timeout=60,
        ).json()["image_id"]
        for seed in range(5)
    ]
    first = get(server, "/user-files?limit=3", headers=mine).json()
    second = get(server, "/user-files?limit=3&offset=3", headers=mine).json()
    assert [file["id"] for file in first["files"] + second["files"]] == ids[::-1]
    assert (first["total_count"], first["has_more"], second["has_more"]) == (5, True, False)
    assert first["files"][0]["tags"] == ["a", "b"]
    assert first["files"][0]["description_status"] == "skipped"
    assert first["files"][0]["upload_description"] is None


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=-1", "limit=1000000000", "offset=-1", "limit=x"]
)
def test_bounds_of_the_list(server: Server, query: str) -> None:
    answer = get(server, f"/user-files?{query}")
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "VALIDATION_ERROR"
    assert answer.json()["error"]["details"]["field"] == query.split("=")[0]


def test_delete_hides_at_once(server: Server) -> None:
    id = upload(server, noise(100), auto_describe="false").json()["image_id"]
    url = f"{server.url}{API}/user-files/{id}"
    answer = requests.delete(url, headers=server.headers, timeout=60)
    assert answer.status_code == 200
    assert answer.json()["id"] == id
    assert get(server, f"/user-files/{id}").status_code == 404
    assert get(server, f"/uploads/status/{id}").status_code == 404
    assert requests.delete(url, headers=server.headers, timeout=60).status_code == 404


def test_the_same_bytes_again(server: Server) -> None:
    data = noise(200)
    first = upload(server, data, auto_describe="false").json()
    skipped = upload(server, data, skip_duplicates="true").json()
    assert (skipped["skipped"], skipped["status"]) == (True, "skipped")
    assert skipped["skipped_existing_image_id"] == skipped["image_id"] == first["image_id"]
    kept = upload(server, data, auto_describe="false").json()
    assert kept["image_id"] != first["image_id"]


def test_the_same_bytes_at_the_same_time(server: Server) -> None:
    data = noise(201)
    fields = {"skip_duplicates": "true", "auto_describe": "false"}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = [
            each.json() for each in pool.map(lambda _: upload(server, data, **fields), range(8))
        ]
    assert sum(not answer["skipped"] for answer in answers) == 1
    assert len({answer["image_id"] for answer in answers}) == 1


def test_tenants_do_not_see_each_other(server: Server, photos: dict[str, Path]) -> None:
    data = noise(300)
    id = upload(server, data, auto_describe="false").json()["image_id"]
    other = {"Authorization": f"Bearer {server.new_key('stranger')}"}
    for path in ("", "/variant/original", "/download"):
        answer = get(server, f"/user-files/{id}{path}", headers=other, allow_redirects=False)
        unknown = get(
            server, f"/user-files/{uuid.uuid4()}{path}", headers=other, allow_redirects=False
        )
        assert answer.status_code == unknown.status_code == 404
        assert answer.json()["error"]["code"] == unknown.json()["error"]["code"]
    assert get(server, f"/user-files/{id[:8]}", headers=other).status_code == 404
    assert get(server, f"/uploads/status/{id}", headers=other).status_code == 404
    assert get(server, "/user-files", headers=other).json()["total_count"] == 0
    url = f"{server.url}{API}/user-files/{id}"
    assert requests.delete(url, headers=other, timeout=60).status_code == 404
    mine = requests.post(
        f"{server.url}{API}/user-files/upload/stream",
        headers=other,
        files={"file": ("n.png", data)},
        data={"skip_duplicates": "true", "auto_describe": "false"},
        timeout=60,
    ).json()
    assert not mine["skipped"], "that somebody else has these bytes must not show"


def test_every_answer_carries_its_limits_and_its_id(server: Server) -> None:
    asked_at = time.time()
    answer = get(server, "/user-files", headers={**server.headers, "X-Request-ID": "mine-1"})
    assert answer.headers["X-Request-ID"] == "mine-1"
    assert int(answer.headers["X-RateLimit-Remaining"]) < int(answer.headers["X-RateLimit-Limit"])
    assert int(answer.headers["X-RateLimit-Reset"]) > asked_at


def test_a_tier_has_its_requests_per_minute(server: Server) -> None:
    free = {"Authorization": f"Bearer {server.new_key('small', '--tier', 'free')}"}
    answers = [get(server, "/user-files", headers=free) for _ in range(25)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert 5 <= len(refused) <= 15, "10 per calendar minute, which may have turned meanwhile"
    assert all(1 <= int(answer.headers["Retry-After"]) <= 60 for answer in refused)
    assert refused[0].json()["error"]["code"] == "RATE_LIMIT_ERROR"
    assert refused[0].headers["X-RateLimit-Remaining"] == "0"


def test_operators_see_how_it_is(server: Server) -> None:
    assert requests.get(f"{server.url}/health/live", timeout=60).json() == {"status": "alive"}
    ready = requests.get(f"{server.url}/health/ready", timeout=60).json()
    assert ready["checks"] == {"database": "ok", "store": "ok", "workers": "ok"}
    metrics = requests.get(f"{server.url}/metrics", timeout=60).text
    assert 'ocelli_workers{status="alive"}' in metrics
    assert (
        'ocelli_http_requests_total{method="GET",route="/api/v2/user-files",status="200"}'
        in metrics
    )


def test_the_documentation_page_works_without_the_internet(server: Server) -> None:
    page = requests.get(f"{server.url}/docs", timeout=60)
    assert page.status_code == 200
    assert "://" not in page.text.replace(server.url, "")
    schema = requests.get(f"{server.url}/openapi.json", timeout=60).json()
    assert "/api/v2/user-files/upload/stream" in schema["paths"]
    times = [
        part["properties"]["processing_time_ms"]
        for part in schema["components"]["schemas"].values()
        if "processing_time_ms" in part.get("properties", ())
    ]
    assert len(times) >= 9
    assert all("integer" in json.dumps(each) for each in times)
    assert not any("number" in json.dumps(each) for each in times)
