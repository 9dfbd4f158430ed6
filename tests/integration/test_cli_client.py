"""The commands that ask a server: verify, search, export, status, cancel, and `--jsonl`."""

from __future__ import annotations

import csv
import io
import json
import re
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Server
from tests.integration.test_cli_upload import picture
from typer.testing import CliRunner, Result

from aion import BatchImageInput, SyncAionVision
from ocelli.cli.main import app

MISSING = "00000000-0000-0000-0000-000000000000"


@pytest.fixture(autouse=True)
def environment(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without a server of its own; address and key are in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AIONVISION_API_KEY", server.key)
    monkeypatch.setenv("AIONVISION_BASE_URL", server.url)


@pytest.fixture
def client(server: Server) -> SyncAionVision:
    return SyncAionVision(server.key, base_url=f"{server.url}/api/v2")


def run(*arguments: object) -> Result:
    done = CliRunner().invoke(app, [str(each) for each in arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def lines(done: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_verify(photos: dict[str, Path]) -> None:
    done = run("verify", photos["coffee"], "There is a cup.", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["is_verified"], found["risk_level"]) == (True, "low")
    wrong = run("verify", photos["coffee"], "There are five elephants.")
    assert wrong.exit_code == 1
    assert "not shown to be true" in wrong.stdout
    assert "There are five elephants." in wrong.stdout
    for arguments in (
        ["nowhere.jpg", "A cup."],
        [photos["coffee"], ""],
        [photos["coffee"], "A cup.", "--level", "extreme"],
    ):
        assert run("verify", *arguments).exit_code == 2


def test_search(client: SyncAionVision) -> None:
    with client:
        for number in range(3):
            sent = client.upload_one(picture(), filename=f"s{number}.jpg")
            client.files.update(sent.image_id, title=f"quokka {number}", tags=["[a] tag"])
    by_meaning = {each["title"] for each in lines(run("search", "quokka", "--jsonl"))}
    assert by_meaning >= {"quokka 2", "quokka 1", "quokka 0"}
    two = run("search", "quokka", "--search-mode", "all", "--limit", "2", "--json")
    assert [each["title"] for each in json.loads(two.stdout)] == ["quokka 2", "quokka 1"]
    table = run("search", "--tags", "[a] tag", "--limit", "3").stdout
    assert "quokka 1" in table
    assert "[a] tag" in table
    assert "the first 3" in table
    assert (
        "no picture matches" in run("search", "no", "such", "words", "--search-mode", "all").stdout
    )
    assert run("search", "--search-mode", "nowhere").exit_code == 2


def test_export(client: SyncAionVision, tmp_path: Path) -> None:
    with client:
        sent = client.upload_one(picture(), filename="exported.jpg")
    newest = lines(run("export", "--limit", "2"))
    assert newest[0]["image_id"] == sent.image_id
    assert len(newest) == 2
    done = run("export", "all.csv")
    assert done.exit_code == 0
    text = (tmp_path / "all.csv").read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert sent.image_id in {row["image_id"] for row in rows}
    assert re.search(r"^\d+ bytes written to all.csv$", done.stdout.strip())
    assert isinstance(json.loads(run("export", "--format", "json", "--limit", "1").stdout), list)
    assert run("export", "all.xml").exit_code == 2
    assert run("export", "nowhere/all.csv").exit_code == 3


def test_status_and_cancel(client: SyncAionVision) -> None:
    with client:
        client.upload([picture(), picture()], filenames=["a.jpg", "b.jpg"])
        (newest,) = lines(run("status", "--limit", "1", "--jsonl"))
        assert (newest["kind"], newest["status"], newest["done"]) == ("upload", "completed", 2)
        shown = run("status", newest["id"]).stdout
        assert newest["id"] in shown
        over = run("cancel", newest["id"])
        assert over.exit_code == 1, "it has ended"
        assert "Traceback" not in over.output
        images = [b64encode(picture()).decode() for _ in range(30)]  # a quarter of a minute
        job = client.batch.submit_describe(
            [BatchImageInput(image_base64=image) for image in images], verification_level="quick"
        )
        ended = run("cancel", job.batch_id, "--json")
        assert ended.exit_code == 0, ended.output
        (found,) = json.loads(run("status", job.batch_id, "--json").stdout)
        assert (found["id"], found["kind"], found["total"]) == (job.batch_id, "batch", 30)
        assert found["status"] == "cancelled"
    for command in ("status", "cancel"):
        done = run(command, MISSING)
        assert done.exit_code == 1
        assert "no session and no batch job" in done.stderr


def test_lines_of_upload_and_keys(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(picture())
    rows = lines(run("upload", "a.jpg", "b.jpg", "--jsonl"))
    assert [row["file"] for row in rows] == ["a.jpg", "b.jpg"]
    assert all(row["status"] == "completed" for row in rows)


@pytest.mark.parametrize("command", [["verify", "a", "b"], ["search"], ["export"], ["status"]])
def test_without_a_server(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIONVISION_API_KEY")
    monkeypatch.delenv("AIONVISION_BASE_URL")
    done = run(*command)
    assert done.exit_code == 3
    assert "ocelli serve" in done.stderr
