"""``/data`` over HTTP: the history of descriptions, and exports of it."""

from __future__ import annotations

import csv
import io
import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.conftest import Server
from tests.integration.test_files import send
from tests.integration.test_library import store
from tests.integration.test_main_job import API, finished, get
from tests.integration.test_storage import a_tenant, an_image
from tests.waiting import until

from ocelli.domain.history import (
    ExportFormat,
    ExportOptions,
    ExportStatus,
    HistoryQuery,
    SourceType,
)
from ocelli.domain.paging import PageRequest
from ocelli.media.blob_writer import BlobWriter
from ocelli.storage.objects_local import LocalObjects
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.usecases.history import ALL_FIELDS, History, WriteExport
from ocelli.usecases.store_resolver import StoreResolver


@pytest.fixture(scope="module")
def mine(server: Server) -> dict[str, str]:
    key = server.new_key(f"data-{uuid.uuid4()}", "--tier", "enterprise")
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture(scope="module")
def described(server: Server, mine: dict[str, str], photos: dict[str, Path]) -> dict[str, str]:
    ids = {}
    for name, title in (("coffee", "=HYPERLINK(1)"), ("chelsea", "Chelsea")):
        answer = requests.post(
            f"{server.url}{API}/user-files/upload/stream",
            headers=mine,
            files={"file": (f"{name}.png", photos[name].read_bytes())},
            data={"title": title},
            timeout=60,
        )
        ids[name] = answer.json()["image_id"]
    for id in ids.values():
        finished(server, id, mine)
    return ids


def test_the_history(server: Server, mine: dict[str, str], described: dict[str, str]) -> None:
    body = get(server, "/data/descriptions", headers=mine).json()
    assert {each["image_id"] for each in body["results"]} == set(described.values())
    assert body["total_count"] == body["statistics"]["total_count"] == 2
    first = body["results"][0]
    assert (first["type"], first["source_type"]) == ("description", "single")
    assert first["source_id"] == first["image_id"]
    assert requests.get(first["image_url"], timeout=60).status_code == 200
    assert requests.get(first["thumbnail_url"], timeout=60).status_code == 200
    assert first["metadata"]["filename"]
    statistics = body["statistics"]
    assert sum(statistics["confidence_distribution"].values()) == 2
    assert len(statistics["confidence_distribution"]) == 5
    assert statistics["daily_counts"][0]["count"] == 2
    assert statistics["source_distribution"] == {"single": 2, "batch": 0}
    assert 0 < statistics["average_confidence"] <= 1
    assert body["filters_applied"]["filter_summary"] == "none"
    assert body["page_info"] == {
        "offset": 0,
        "limit": 100,
        "has_next": False,
        "has_previous": False,
        "total_pages": 1,
        "current_page": 1,
        "next_cursor": None,
    }


def test_pages_of_the_history(
    server: Server, mine: dict[str, str], described: dict[str, str]
) -> None:
    del described
    body = get(server, "/data/descriptions?limit=1&offset=1", headers=mine).json()
    assert (len(body["results"]), body["total_count"]) == (1, 2)
    assert body["page_info"]["current_page"] == body["page_info"]["total_pages"] == 2
    assert body["page_info"]["has_previous"]
    assert not body["page_info"]["has_next"]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("search=chelsea", 1),
        ("search=CUP", 1),
        ("search=cup, hyperlink", 1),
        ("search=cup,chelsea", 0),
        ("search=%25", 0),
        ("min_confidence=0&max_confidence=1", 2),
        ("min_confidence=1", 0),
        ("source_types=single", 2),
        ("source_types=batch", 0),
        ("source_types=batch,single", 2),
        ("start_date=2020-01-01&end_date=2999-12-31", 2),
        ("end_date=2020-01-01", 0),
        ("start_date=2999-01-01T00:00:00Z", 0),
    ],
)
def test_filters_of_the_history(
    server: Server, mine: dict[str, str], described: dict[str, str], query: str, count: int
) -> None:
    del described
    body = get(server, f"/data/descriptions?{query}", headers=mine).json()
    assert body["total_count"] == len(body["results"]) == count
    assert body["filters_applied"]["filter_summary"] != "none" or "batch,single" in query


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "offset=-1",
        "min_confidence=2",
        "source_types=alone",
        "start_date=x",
        "search=a%00",
    ],
)
def test_bad_queries(server: Server, query: str) -> None:
    answer = get(server, f"/data/descriptions?{query}")
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["field"]


def exported(server: Server, headers: dict[str, str], **body: Any) -> dict[str, Any]:
    begun = send(
        server, "POST", "/data/export", headers=headers, json={"data_type": "descriptions", **body}
    )
    assert begun.status_code == 202
    assert begun.json()["status"] == "queued"
    assert begun.json()["download_url"] is None

    def final() -> dict[str, Any] | None:
        path = f"/data/export/{begun.json()['export_id']}"
        state: dict[str, Any] = get(server, path, headers=headers).json()
        return state if state["status"] in ("completed", "failed") else None

    return until(final)


def test_export_as_csv(server: Server, mine: dict[str, str], described: dict[str, str]) -> None:
    state = exported(server, mine, format="csv")
    assert (state["status"], state["record_count"], state["format"]) == ("completed", 2, "csv")
    answer = requests.get(state["download_url"], timeout=60)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert ".csv" in answer.headers["Content-Disposition"]
    assert answer.content.startswith(b"\xef\xbb\xbf")  # or spreadsheets do not read it as UTF-8
    text = answer.content.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert {row["image_id"] for row in rows} == set(described.values())
    assert list(rows[0]) == list(ALL_FIELDS)
    assert "'=HYPERLINK(1)" in {row["title"] for row in rows}
    forged = state["download_url"][:-1] + ("1" if state["download_url"].endswith("0") else "0")
    assert requests.get(forged, timeout=60).status_code == 404


@pytest.mark.parametrize("format", ["json", "jsonl"])
def test_export_as_json(
    server: Server, mine: dict[str, str], described: dict[str, str], format: str
) -> None:
    state = exported(
        server, mine, format=format, fields=["image_id", "tags"], search_terms=["chelsea"]
    )
    text = requests.get(state["download_url"], timeout=60).text
    (record,) = json.loads(text) if format == "json" else map(json.loads, text.splitlines())
    assert set(record) == {"image_id", "tags"}
    assert record["image_id"] == described["chelsea"]
    assert "cat" in record["tags"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"format": "xml"},
        {"format": "csv", "limit": 100_001},
        {"format": "csv", "fields": ["password"]},
        {"format": "csv", "source_types": ["alone"]},
        {"format": "csv", "min_confidence": -1},
        {"format": "csv", "search_terms": ["a\0"]},
        {"format": "csv", "data_type": "verifications"},
    ],
)
def test_bad_exports(server: Server, body: dict[str, Any]) -> None:
    answer = send(server, "POST", "/data/export", json={"data_type": "descriptions", **body})
    assert answer.status_code == 422


def test_strangers_see_nothing(
    server: Server, mine: dict[str, str], described: dict[str, str]
) -> None:
    state = exported(server, mine, format="csv")
    name = f"stranger-{uuid.uuid4()}"
    other = {"Authorization": f"Bearer {server.new_key(name, '--tier', 'enterprise')}"}
    assert get(server, f"/data/export/{state['export_id']}", headers=other).status_code == 404
    assert get(server, f"/data/export/{uuid.uuid4()}", headers=other).status_code == 404
    assert get(server, "/data/descriptions", headers=other).json()["total_count"] == 0
    assert exported(server, other, format="csv")["record_count"] == 0
    for path in ("", "/thumbnail", "/variants", "/variant/tiny_64"):
        url = f"/data/images/{described['coffee']}{path}"
        assert get(server, url, headers=other, allow_redirects=False).status_code == 404


def test_addresses_of_pictures(
    server: Server, mine: dict[str, str], described: dict[str, str]
) -> None:
    id = described["coffee"]
    for path, kind in (
        ("", "image/webp"),
        ("?thumbnail=false", "image/png"),
        ("?size=medium", "image/webp"),
        ("/thumbnail?size=tiny", "image/webp"),
        ("/variant/original", "image/png"),
    ):
        answer = get(server, f"/data/images/{id}{path}", headers=mine, allow_redirects=False)
        assert answer.status_code == 302
        file = requests.get(answer.headers["Location"], timeout=60)
        assert file.headers["Content-Type"] == kind
    variants = get(server, f"/data/images/{id}/variants", headers=mine).json()["variants"]
    assert {each["type"] for each in variants} >= {"tiny_64", "small_256"}
    assert get(server, f"/data/images/{id}?size=huge", headers=mine).status_code == 422


async def test_sources_and_failures(database: PostgresDatabase) -> None:
    tenant = await a_tenant(database)
    alone = an_image(tenant)
    together = replace(an_image(tenant), session_id=uuid.uuid4())
    await store(database, alone, description="One.", confidence=0.1)
    await store(database, together, description="Two.", confidence=1.0)
    await store(database, an_image(tenant), description="No idea.", confidence=None)
    async with database.transaction() as tx:
        numbers = await tx.history.statistics(tenant, HistoryQuery())
        assert (numbers.total, numbers.confidences) == (3, (1, 0, 0, 0, 1))
        assert numbers.sources == {SourceType.SINGLE: 2, SourceType.BATCH: 1}
        assert numbers.average_confidence == pytest.approx(0.55)
        only = HistoryQuery(sources=frozenset({SourceType.BATCH}))
        (record,) = await tx.history.page(tenant, only, PageRequest(9))
        assert (record.source, record.session_id) == (SourceType.BATCH, together.session_id)
        await tx.images.delete(tenant, together.id)
        assert await tx.history.page(tenant, only, PageRequest(9)) == []
        nothing = HistoryQuery(since=datetime.now(UTC) + timedelta(days=1))
        assert (await tx.history.statistics(tenant, nothing)).total == 0


def a_request(**values: Any) -> ExportOptions:
    return ExportOptions(ExportFormat.CSV, HistoryQuery(**values), ("id", "description"))


async def test_an_export_is_one_moment_and_in_order(
    database: PostgresDatabase, tmp_path: Path
) -> None:
    tenant = await a_tenant(database)
    for number in range(12):
        await store(database, an_image(tenant), description=f"Number {number}.")
    objects = LocalObjects(tmp_path, b"s")
    history, writer = History(database, objects), WriteExport(database, StoreResolver(objects))
    export = await history.export(tenant, replace(a_request(), limit=10))
    assert export.status is ExportStatus.QUEUED
    await writer.run(export.id, last_attempt=False)
    await writer.run(export.id, last_attempt=False)  # a job may run twice
    done = await history.get_export(tenant, export.id)
    assert (done.status, done.record_count) == (ExportStatus.COMPLETED, 10)
    assert done.object_key is not None
    lines = objects.path(done.object_key).read_text().splitlines()
    assert [line.split(",")[1] for line in lines[1:]] == [f"Number {n}." for n in range(11, 1, -1)]
    assert list(objects.staging.iterdir()) == []


async def test_an_export_that_cannot_be_written_fails(
    database: PostgresDatabase, tmp_path: Path
) -> None:
    class Full(LocalObjects):
        async def put(self, key: str, blob: BlobWriter, content_type: str) -> None:
            raise OSError("disk full")

    tenant = await a_tenant(database)
    objects = Full(tmp_path, b"s")
    history, writer = History(database, objects), WriteExport(database, StoreResolver(objects))
    export = await history.export(tenant, a_request(since=datetime(2020, 1, 1, tzinfo=UTC)))
    with pytest.raises(OSError, match="full"):
        await writer.run(export.id, last_attempt=False)
    assert (await history.get_export(tenant, export.id)).status is ExportStatus.PROCESSING
    with pytest.raises(OSError, match="full"):
        await writer.run(export.id, last_attempt=True)
    failed = await history.get_export(tenant, export.id)
    assert (failed.status, failed.object_key) == (ExportStatus.FAILED, None)
    assert failed.error == "The file could not be written."
    assert list(objects.staging.iterdir()) == []


async def test_old_exports_are_forgotten_and_their_files_with_them(
    database: PostgresDatabase, tmp_path: Path
) -> None:
    tenant = await a_tenant(database)
    objects = LocalObjects(tmp_path, b"s")
    history, writer = History(database, objects), WriteExport(database, StoreResolver(objects))
    export = await history.export(tenant, a_request())
    await writer.run(export.id, last_attempt=True)
    done = await history.get_export(tenant, export.id)
    assert done.object_key is not None
    async with database.transaction() as tx:
        assert await tx.images.unknown([done.object_key]) == []
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE exports SET created_at = now() - interval '8 days' WHERE id = %s", (export.id,)
        )
    async with database.transaction() as tx:
        assert await tx.exports.purge(older_than=7 * 86_400) >= 1
        assert await tx.images.unknown([done.object_key]) == [done.object_key]
