"""An installation of an older version, with pictures in it, becomes one of this version."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from tests.conftest import Server, database_of_process, reachable, start_server
from tests.integration.test_main_job import API, finished, get
from tests.upgrade.make import ANSWERS, DUMP, MADE
from tests.waiting import until
from typer.testing import CliRunner

from ocelli.cli.main import app
from ocelli.storage.backup import dump
from ocelli.storage.embedded import EmbeddedPostgres
from ocelli.storage.postgres.schema import missing

DESCRIBED = ("source", "description", "tags", "confidence_score", "visible_text")
KEPT = ("id", "title", "tags", "size_bytes", "content_type", "dimensions", "upload_description",
    "description_status", "variant_count", "blur_hash", "created_at")  # fmt: skip


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of that version, as far as it is unpacked: the database is still a dump."""
    data = reachable(tmp_path_factory.mktemp("older")) / "data"
    with tarfile.open(MADE) as archive:
        archive.extractall(data, filter="data")
    return data


@pytest.fixture(scope="module")
def answers(older: Path) -> Any:
    """What it had answered."""
    return json.loads((older / ANSWERS).read_text())


@pytest.fixture(scope="module")
def upgraded(older: Path, answers: Any) -> Iterator[Server]:
    """``ocelli serve`` of this version over that version's data."""
    postgres = EmbeddedPostgres(older / "postgres", durable=False)
    dump.load(postgres.start(), older / DUMP, extension_schema=None)
    postgres.stop()
    (older / "api_key").write_text(answers["key"])
    server = start_server(older)
    yield server
    server.stop()
    assert server.process.stdout is not None
    server.process.stdout.close()


def test_pictures_and_descriptions_are_as_they_were(upgraded: Server, answers: Any) -> None:
    for id, before in answers["files"].items():
        now = get(upgraded, f"/user-files/{id}").json()
        assert {name: now[name] for name in KEPT} == {name: before[name] for name in KEPT}
        (described,), (was,) = now["full_descriptions"], before["full_descriptions"]
        assert {name: described[name] for name in DESCRIBED} == {
            name: was[name] for name in DESCRIBED
        }
        assert downloaded(upgraded, id) == answers["sha256"][id]
        assert get(upgraded, f"/user-files/{id}/variant/tiny_64").status_code == 200
    assert get(upgraded, f"/user-files/{answers['deleted']}").status_code == 404


def downloaded(server: Server, id: str) -> str:
    return hashlib.sha256(get(server, f"/user-files/{id}/download").content).hexdigest()


def test_what_was_left_undone_is_done(upgraded: Server, answers: Any) -> None:
    assert set(answers["undone"]) <= answers["late"].keys()
    for id, sha256 in answers["late"].items():
        file = finished(upgraded, id)
        assert (file["description_status"], file["variant_status"]) == ("completed", "completed")
        assert len(file["full_descriptions"]) == 1
        assert downloaded(upgraded, id) == sha256
    path = f"/batch/{answers['late_batch']}"
    until(lambda: get(upgraded, path).json()["progress_percentage"] == 100)
    (item,) = get(upgraded, f"{path}/results").json()["results"]
    assert item["output_data"]["description"]


def test_batches_sessions_credits_and_other_keys_are_as_they_were(
    upgraded: Server, answers: Any
) -> None:
    results = get(upgraded, f"/batch/{answers['batch_id']}/results").json()["results"]
    before = answers["batch"]["results"]
    assert [each["output_data"]["description"] for each in results] == [
        each["output_data"]["description"] for each in before
    ]
    id = answers["session"]["session_id"]
    session = get(upgraded, f"/uploads/sessions/{id}/status").json()
    assert (session["status"], session["completed_files"]) == ("completed", 2)
    buyer = {"Authorization": f"Bearer {answers['buyer']}"}
    left = requests.get(f"{upgraded.url}/api/credits", headers=buyer, timeout=60).json()
    assert left == answers["credits"]
    path = f"{upgraded.url}/api/response/{answers['fetch']['request_id']}"
    fetched = requests.get(path, headers=buyer, timeout=60).json()
    assert fetched["status"] == "completed"
    stranger = get(upgraded, f"/user-files/{next(iter(answers['files']))}", headers=buyer)
    assert stranger.status_code == 404


def test_pictures_of_before_are_found_by_meaning(upgraded: Server, answers: Any) -> None:
    """They have no vectors: the index is made for them."""
    wanted = {*answers["files"], *answers["late"]}
    body: Any = {"query": "shapes", "limit": 50}

    def found() -> bool:
        answer = requests.post(
            f"{upgraded.url}{API}/agents/search/images",
            headers=upgraded.headers,
            json=body,
            timeout=60,
        )
        return bool(answer.json()["result_ids"])

    until(found)
    with psycopg.connect(EmbeddedPostgres(upgraded.data / "postgres").dsn) as connection:

        def embedded() -> bool:
            rows = connection.execute("SELECT DISTINCT image_id::text FROM text_vectors").fetchall()
            connection.commit()
            return wanted <= {id for (id,) in rows}

        until(embedded)


def test_the_command_migrates_a_database_of_ones_own(
    dsn: str, older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = database_of_process(dsn, "of_before")
    dump.load(dsn, older / DUMP, extension_schema=None)
    monkeypatch.setenv("OCELLI_DATABASE_URL", dsn)
    monkeypatch.setenv("OCELLI_DATA", str(older))
    checked = CliRunner().invoke(app, ["upgrade", "--check"])
    assert checked.exit_code == 1, checked.output
    assert "stop them" in checked.output
    done = CliRunner().invoke(app, ["migrate"])
    assert done.exit_code == 0, done.output
    assert missing(dsn) == []
