"""``/colors`` over HTTP, and its search against a real Postgres."""

from __future__ import annotations

import io
import uuid
from functools import partial
from typing import Any

import numpy as np
import pytest
import requests
from PIL import Image as Pillow
from tests.conftest import Server
from tests.integration.test_files import send
from tests.integration.test_main_job import API, get
from tests.integration.test_storage import a_tenant, an_image
from tests.waiting import until

from ocelli.domain.colors import ColorMatch, ColorQuery, Family, Palette, PaletteStatus, RgbColor
from ocelli.domain.paging import PageRequest
from ocelli.media import colors
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.usecases.colors import Colors


def stripes(*codes: str) -> bytes:
    """A PNG of equal stripes."""
    stream = io.BytesIO()
    picture = Pillow.new("RGB", (60, 20 * len(codes)))
    for number, code in enumerate(codes):
        picture.paste(code, (0, 20 * number, 60, 20 * number + 20))
    picture.save(stream, "PNG")
    return stream.getvalue()


def add(server: Server, data: bytes, headers: dict[str, str], describe: bool = False) -> str:
    answer = requests.post(
        f"{server.url}{API}/user-files/upload/stream",
        headers=headers,
        files={"file": ("s.png", data)},
        data={"auto_describe": str(describe).lower()},
        timeout=60,
    )
    return str(answer.json()["image_id"])


def extracted(server: Server, id: str, headers: dict[str, str]) -> dict[str, Any]:
    """The colours once they are there."""

    def final() -> dict[str, Any] | None:
        body: dict[str, Any] = get(server, f"/colors/images/{id}", headers=headers).json()
        return body if body["status"] in ("completed", "failed") else None

    return until(final)


@pytest.fixture(scope="module")
def mine(server: Server) -> dict[str, str]:
    key = server.new_key(f"colors-{uuid.uuid4()}", "--tier", "enterprise")
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture(scope="module")
def pictures(server: Server, mine: dict[str, str]) -> dict[str, str]:
    ids = {
        "flag": add(server, stripes("#0055a4", "#ffffff", "#c8102e"), mine, describe=True),
        "sea": add(server, stripes("#1060b0", "#1060b0", "#f4e3b0"), mine),
        "rose": add(server, stripes("#ffd1dc"), mine),
    }
    for id in ids.values():
        assert extracted(server, id, mine)["status"] == "completed"
    return ids


def search(server: Server, headers: dict[str, str], **body: Any) -> Any:
    return send(server, "POST", "/colors/search", headers=headers, json=body)


def test_colors_come_by_themselves(
    server: Server, mine: dict[str, str], pictures: dict[str, str]
) -> None:
    body = get(server, f"/colors/images/{pictures['flag'][:8]}", headers=mine).json()
    assert body["image_id"] == pictures["flag"]
    analysis = body["color_analysis"]
    assert body["extracted_at"] == analysis["extracted_at"]
    first = analysis["dominant_colors"][0]
    assert set(first) == {"rank", "percentage", "hex", "name", "family", "rgb", "hsl", "lab"}
    assert {color["name"] for color in analysis["dominant_colors"]} >= {"blue", "white", "red"}
    assert [c["rank"] for c in analysis["dominant_colors"]] == list(
        range(1, len(analysis["dominant_colors"]) + 1)
    )
    assert set(analysis["analytics"]) == {"temperature", "brightness", "saturation"}


def test_search_by_hex(server: Server, mine: dict[str, str], pictures: dict[str, str]) -> None:
    body = search(server, mine, hex_code="#1060b0").json()
    assert [each["image_id"] for each in body["results"]] == [pictures["sea"], pictures["flag"]]
    assert (body["total_count"], body["limit"], body["offset"]) == (2, 50, 0)
    best, second = body["results"]
    assert best["match_score"] > 0.95 > second["match_score"] > 0
    assert best["matched_percentage"] == pytest.approx(66.7, abs=4)
    target = RgbColor.parse("#1060b0")
    for each in body["results"]:
        distance = float(
            colors.delta_e(np.array(target.lab), np.array(RgbColor.parse(each["matched_hex"]).lab))
        )
        assert each["match_score"] == pytest.approx(1 - distance / 15, abs=0.001)
        assert each["color_analysis"]["dominant_colors"]
    page = search(server, mine, hex_code="1060b0", limit=1, offset=1).json()
    assert [each["image_id"] for each in page["results"]] == [pictures["flag"]]
    assert search(server, mine, hex_code="#1060b0", delta_e_threshold=1).json()["total_count"] <= 1
    assert search(server, mine, hex_code="#1060b0", min_percentage=50).json()["total_count"] == 1


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"color_name": "blue"}, {"flag", "sea"}),
        ({"color_name": "crimson"}, {"flag"}),
        ({"color_family": "pastel"}, {"rose", "sea"}),
        ({"color_family": "pastel", "hex_code": "#ffd1dc"}, {"rose"}),
        ({"color_name": "white", "color_family": "vibrant"}, set()),
        ({"hex_code": "#00ff00"}, set()),
        ({"hex_code": "#fff", "delta_e_threshold": 0}, {"flag"}),
    ],
)
def test_search_by_name_and_family(
    server: Server,
    mine: dict[str, str],
    pictures: dict[str, str],
    body: dict[str, Any],
    names: set[str],
) -> None:
    results = search(server, mine, **body).json()["results"]
    assert {each["image_id"] for each in results} == {pictures[name] for name in names}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"hex_code": "red"},
        {"hex_code": "#12345"},
        {"color_name": "no such colour"},
        {"color_name": "tomato", "hex_code": "#fff"},
        {"color_family": "loud"},
        {"hex_code": "#fff", "delta_e_threshold": 101},
        {"hex_code": "#fff", "min_percentage": -1},
        {"hex_code": "#fff", "limit": 201},
        {"hex_code": "#fff", "limit": 0},
        {"hex_code": "#fff", "offset": -1},
    ],
)
def test_bad_searches(server: Server, body: dict[str, Any]) -> None:
    answer = search(server, server.headers, **body)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "VALIDATION_ERROR"


def test_extract_again(server: Server, mine: dict[str, str], pictures: dict[str, str]) -> None:
    id = pictures["sea"]
    path = f"/colors/images/{id}/extract"
    unforced = send(server, "POST", path, headers=mine).json()
    assert unforced["status"] == "completed"
    queued = send(server, "POST", f"{path}?force=true&n_colors=3", headers=mine)
    assert queued.status_code == 200
    assert queued.json()["status"] in ("queued", "processing", "completed")
    again = extracted(server, id, mine)
    assert 1 <= len(again["color_analysis"]["dominant_colors"]) <= 3
    assert again["extracted_at"] > unforced["extracted_at"]
    for query in ("n_colors=2", "n_colors=17", "force=maybe"):
        assert send(server, "POST", f"{path}?{query}", headers=mine).status_code == 422


def test_extract_many(server: Server, mine: dict[str, str], pictures: dict[str, str]) -> None:
    ids = [pictures["flag"], pictures["rose"], str(uuid.uuid4())]
    body = {"image_ids": ids, "force": True}
    answer = send(server, "POST", "/colors/batch/extract", headers=mine, json=body)
    assert (answer.status_code, answer.json()["queued_count"]) == (200, 2)
    for id in ids[:2]:
        assert extracted(server, id, mine)["status"] == "completed"
    for bad in ([], ["x"], [str(uuid.uuid4())] * 501):
        answer = send(server, "POST", "/colors/batch/extract", json={"image_ids": bad})
        assert answer.status_code == 422


def test_families(server: Server) -> None:
    families = get(server, "/colors/families").json()
    assert [each["name"] for each in families] == list(Family)
    assert all(each["display_name"] and each["example_colors"] for each in families)


def test_strangers_see_no_colors(server: Server, pictures: dict[str, str]) -> None:
    id = pictures["flag"]
    other = {"Authorization": f"Bearer {server.new_key(f'stranger-{uuid.uuid4()}')}"}
    assert get(server, f"/colors/images/{id}", headers=other).status_code == 404
    answer = send(server, "POST", f"/colors/images/{id}/extract", headers=other)
    assert answer.status_code == 404
    body = {"image_ids": [id], "force": True}
    answer = send(server, "POST", "/colors/batch/extract", headers=other, json=body)
    assert answer.json()["queued_count"] == 0
    assert search(server, other, hex_code="#0055a4").json()["total_count"] == 0
    assert search(server, other, color_family="neutral").json()["total_count"] == 0


def test_deleted_pictures_are_not_found(server: Server, mine: dict[str, str]) -> None:
    id = add(server, stripes("#123456"), mine)
    extracted(server, id, mine)
    body = {"hex_code": "#123456", "delta_e_threshold": 4}
    assert search(server, mine, **body).json()["total_count"] == 1
    assert send(server, "DELETE", f"/user-files/{id}", headers=mine).status_code == 200
    assert search(server, mine, **body).json()["total_count"] == 0
    assert get(server, f"/colors/images/{id}", headers=mine).status_code == 404


def a_palette(*codes: str) -> Palette:
    pixels = np.concatenate(
        [np.full((20, 60, 3), list(bytes.fromhex(code)), np.uint8) for code in codes]
    )
    return colors.extract(pixels)


async def test_the_index_finds_what_looking_at_everything_finds(
    database: PostgresDatabase,
) -> None:
    tenant = await a_tenant(database)
    rng = np.random.default_rng(3)
    known: dict[uuid.UUID, Palette] = {}
    async with database.transaction() as tx:
        for _ in range(150):
            image = an_image(tenant)
            codes = [f"{number:06x}" for number in rng.integers(0, 1 << 24, 3)]
            known[image.id] = a_palette(*codes)
            await tx.images.add(image)
            await tx.colors.complete(image.id, known[image.id])
    usecase = Colors(database)
    for threshold in (3.0, 15.0, 40.0, 100.0):
        target = RgbColor.of_number(int(rng.integers(0, 1 << 24)))
        expected = {
            id
            for id, palette in known.items()
            if any(
                color.percentage >= 5
                and colors.delta_e(np.array(target.lab), np.array(color.rgb.lab)) <= threshold
                for color in palette.colors
            )
        }
        query = ColorQuery(near=target, threshold=threshold)
        matches, total, last = await usecase.search(tenant, query, PageRequest(200))
        assert last is None
        assert {match.image_id for match in matches} == expected
        assert total == len(expected)
        scores = [match.score for match in matches]
        assert scores == sorted(scores, reverse=True)
        paged: list[ColorMatch] = []
        after = None
        while True:
            page, _, after = await usecase.search(tenant, query, PageRequest(7, after=after))
            paged += page
            if after is None:
                break
        assert paged == matches


async def test_a_failed_extraction_keeps_what_was_found_before(database: PostgresDatabase) -> None:
    image = an_image(await a_tenant(database))
    palette = a_palette("aa0000")
    async with database.transaction() as tx:
        await tx.images.add(image)
        assert await tx.colors.get(image.tenant_id, image.id) is None
        await tx.colors.complete(image.id, palette)
        request = partial(tx.colors.request, image.tenant_id, [image.id], n_colors=5)
        assert await request(force=False) == []
        assert await request(force=True) == [image.id]
        assert await request(force=True) == []
        started = await tx.colors.start(image.id)
        assert started is not None
        assert (started.status, started.n_colors) == (PaletteStatus.PROCESSING, 5)
        await tx.colors.fail(image.id, "broken")
        failed = await tx.colors.get(image.tenant_id, image.id)
        assert failed is not None
        assert (failed.status, failed.error) == (PaletteStatus.FAILED, "broken")
        assert failed.palette == palette
        assert await tx.colors.start(image.id) is None
