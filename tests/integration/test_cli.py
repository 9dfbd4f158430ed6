"""The commands, as a person and as a program would use them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.conftest import OCELLI, ocelli, reachable, start_server
from typer.testing import CliRunner

from ocelli.cli.main import app
from ocelli.storage.embedded import EmbeddedPostgres


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*OCELLI, *arguments], capture_output=True, text=True, timeout=120, check=False, **options
    )


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    done = run("--help")
    assert done.returncode == 0
    for command in (
        "serve", "worker", "describe", "upload", "keys", "models", "doctor",
        "verify", "search", "export", "status", "cancel",
    ):  # fmt: skip
        assert command in done.stdout
    code = "import sys, ocelli.cli.main; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    ).stdout.split()
    assert not {"numpy", "cv2", "pydantic", "fastapi", "psycopg", "httpx2"} & set(loaded)


def test_describe_tells_programs_everything(photos: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    (folder / ".hidden").mkdir(parents=True)
    (folder / "a.png").write_bytes(photos["coffee"].read_bytes())
    (folder / ".hidden" / "b.png").write_bytes(photos["coffee"].read_bytes())
    (folder / "note.txt").write_text("no picture")
    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture")
    done = run("describe", str(folder), str(bad), "--json")
    assert done.returncode == 1, "one failed"
    rows = {Path(row["file"]).name: row for row in json.loads(done.stdout)}
    assert set(rows) == {"a.png", "bad.jpg"}
    assert "cup" in rows["a.png"]["description"].lower()
    assert rows["a.png"]["source"] == ["ocelli-local"]
    assert 0 < rows["a.png"]["confidence"] <= 1
    assert rows["bad.jpg"]["status"] == "failed"
    assert "plain text" in rows["bad.jpg"]["error"]
    assert "Traceback" not in done.stderr


def test_describe_of_names_and_files_of_every_kind(photos: dict[str, Path], tmp_path: Path) -> None:
    """Names that are not UTF-8, rarer extensions, and what would wait forever if it were opened."""
    jpeg = photos["coffee"].read_bytes()
    for name in (b"f\xfcr.jpe", b"a.jfif", "可愛い.pjpeg".encode()):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(jpeg)
    os.mkfifo(tmp_path / "pipe.jpg")
    done = run("describe", str(tmp_path), str(tmp_path / "pipe.jpg"), "--jsonl", encoding="utf-8")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    rows = {Path(row["file"]).name: row for row in lines}
    assert set(rows) == {r"f\xfcr.jpe", "a.jfif", "可愛い.pjpeg", "pipe.jpg"}
    assert "pipe" in rows.pop("pipe.jpg")["error"]
    assert {row["status"] for row in rows.values()} == {"completed"}


def test_describe_shows_people_a_table(photos: dict[str, Path]) -> None:
    done = run("describe", str(photos["page"]))
    assert done.returncode == 0
    for word in ("file", "description", "confidence", "ms", "page.png"):
        assert word in done.stdout


@pytest.mark.parametrize("paths", [["/no/such/file.jpg"], ["."]])
def test_describe_without_pictures(paths: list[str], tmp_path: Path) -> None:
    done = run("describe", *paths, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("ocelli: no")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a server that has been."""
    server = start_server(tmp_path_factory.mktemp("stopped") / "data", "--workers", "0")
    server.stop()
    assert server.process.stdout is not None
    server.process.stdout.close()
    return server.data


MAKES_NOTHING = [
    ["keys", "list"],
    ["keys", "create"],
    ["keys", "revoke", "aion_x"],
    ["credits", "add", "5"],
    ["doctor", "--json"],
    ["upload", "a.jpg"],
]


@pytest.mark.parametrize("command", MAKES_NOTHING)
def test_only_what_serves_makes_an_installation(
    command: list[str],
    tmp_path: Path,
    photos: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not in a folder that is a typing error, nor in one that is somebody else's."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jpg").write_bytes(photos["rocket"].read_bytes())
    (tmp_path / "mine").mkdir()
    before = sorted(tmp_path.rglob("*"))
    for folder in ("typo", "mine"):
        done = CliRunner().invoke(app, [*command, "--data", str(tmp_path / folder)])
        assert done.exit_code == (0 if command[0] == "doctor" else 3), done.output
        assert "ocelli serve" in done.output
    assert sorted(tmp_path.rglob("*")) == before


def test_nor_in_a_database_that_is_none_of_ours(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(reachable(tmp_path) / "postgres", durable=False)
    given = {"OCELLI_DATABASE_URL": postgres.start(), "OCELLI_DATA": str(tmp_path)}
    try:
        for command in MAKES_NOTHING[:4]:
            done = CliRunner().invoke(app, command, env=given)
            assert done.exit_code == 3
            assert "no installation in the database" in done.output
        with psycopg.connect(postgres.dsn) as connection:
            assert connection.execute("SELECT to_regclass('tenants')").fetchone() == (None,)
        assert not (tmp_path / "api_key").exists()
        first, again = (CliRunner().invoke(app, ["migrate"], env=given) for _ in range(2))
        assert (first.exit_code, again.exit_code, again.output) == (0, 0, "")
        assert (tmp_path / "api_key").read_text().strip() in first.output
        assert CliRunner().invoke(app, MAKES_NOTHING[0], env=given).exit_code == 0
    finally:
        postgres.stop()


def test_migrating_is_for_a_database_of_ones_own(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["migrate", "--data", str(tmp_path)])
    assert done.exit_code == 3
    assert "OCELLI_DATABASE_URL" in done.output


def test_keys_without_a_server(stopped: Path) -> None:
    data = stopped
    key = ocelli("keys", "create", "--tenant", "acme", "--tier", "starter", data=data).strip()
    assert key.startswith("aion_")
    assert len(key.split()) == 1, "the key alone"
    listed = json.loads(ocelli("keys", "list", "--json", data=data))
    mine = next(each for each in listed if each["tenant"] == "acme")
    assert (mine["tier"], mine["state"]) == ("starter", "active")
    assert key.startswith(mine["prefix"])
    ocelli("keys", "revoke", mine["prefix"], data=data)
    listed = json.loads(ocelli("keys", "list", "--json", data=data))
    assert next(each for each in listed if each["tenant"] == "acme")["state"] == "revoked"
    times = ("yesterday", "2001-01-01", "9999-12-31T23:59:59-12:00")
    for wrong in (["--tier", "gold"], *(["--expires", each] for each in times)):
        done = run("keys", "create", *wrong, "--data", str(data))
        assert done.returncode == 2
        assert not done.stdout


def test_models_are_the_pinned_ones() -> None:
    models = json.loads(ocelli("models", "--json"))
    assert len(models) >= 5
    for model in models:
        assert model["licence"]
        assert model["loaded"]
        assert all(len(file["sha256"]) == 64 for file in model["files"])


def test_doctor_says_what_is_wrong(tmp_path: Path, stopped: Path) -> None:
    checks = json.loads(ocelli("doctor", "--json", data=stopped))
    assert {check["name"] for check in checks} >= {"data folder", "database", "store", "models"}
    assert not [check for check in checks if check["advice"]]
    done = run(
        "doctor",
        "--json",
        "--data",
        str(tmp_path / "data"),
        env={"OCELLI_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none", "PATH": ""},
    )
    assert done.returncode == 1
    wrong = {check["name"] for check in json.loads(done.stdout) if check["advice"]}
    assert wrong == {"database"}


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({"OCELLI_WORKERS": "-1"}, "OCELLI_WORKERS"),
        ({"OCELLI_BOOTSTRAP_KEY": "short"}, "OCELLI_BOOTSTRAP_KEY"),
        ({"OCELLI_STORAGE_URL": "ftp://x"}, "OCELLI_STORAGE_URL"),
        ({"OCELLI_LOG_LEVEL": "loud"}, "OCELLI_LOG_LEVEL"),
    ],
)
def test_a_wrong_setting_is_named(environment: dict[str, str], name: str, tmp_path: Path) -> None:
    done = run("serve", "--data", str(tmp_path), env={**environment, "PATH": ""})
    assert done.returncode == 2
    assert name in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["serve"],
        ["worker"],
        ["describe", "a.png"],
        ["eval", ".", "--labels", "labels.jsonl"],
        ["upload", "a.png"],
        ["keys", "create"],
        ["keys", "list"],
        ["keys", "revoke", "x"],
        ["credits", "add", "5"],
        ["models", "--backends"],
        ["models", "list"],
        ["doctor"],
    ],
    ids=" ".join,
)
def test_every_command_says_what_is_wrong_with_the_file(
    command: list[str], tmp_path: Path, photos: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(photos["coffee"].read_bytes())
    (tmp_path / "ocelli.toml").write_text('host = "::1"\nport 8000\n')
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 2
    assert done.stderr.startswith("ocelli: ocelli.toml, line 2: Expected '='")
    assert isinstance(done.exception, SystemExit), "no traceback"


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run("serve", "--data", str(tmp_path), "--port", port)
    assert done.returncode == 3
    assert port in done.stderr
