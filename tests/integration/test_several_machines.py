"""One installation on several machines: they share a Postgres and a store, and nothing else."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import requests
from tests.conftest import OCELLI, Server, reachable, start_server
from tests.integration.test_crashes import is_processing
from tests.integration.test_main_job import finished, get, upload
from tests.waiting import PATIENCE, until

from ocelli.domain.errors import Unavailable
from ocelli.settings import Settings
from ocelli.storage.embedded import EmbeddedPostgres
from ocelli.storage.postgres.preflight import DatabaseRefuses, check_connection
from ocelli.wiring import installation


class Machine:
    """Another one, with ``ocelli worker``: it knows the database and the store."""

    def __init__(self, folder: Path, database: str, store: Path) -> None:
        self.log = folder / "worker.log"
        self._command = [*OCELLI, "worker", "--workers", "1", "--data", str(folder / "data")]
        self._environment = {
            **os.environ,
            "OCELLI_DATABASE_URL": database,
            "OCELLI_STORAGE_URL": store.as_uri(),
        }
        folder.mkdir()
        self.start()

    def start(self) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(self._command, env=self._environment, stderr=log)

    def says(self, text: str) -> None:
        until(lambda: text in self.log.read_text())

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(PATIENCE)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[str]:
    """A Postgres that somebody else runs."""
    postgres = EmbeddedPostgres(reachable(tmp_path) / "postgres")
    postgres.start()
    yield postgres.dsn
    postgres.stop()


@pytest.fixture
def api(tmp_path: Path, database: str) -> Iterator[Server]:
    """The machine of the API, without workers. That it starts is that it says `ready`."""
    server = start_server(
        tmp_path / "api",
        *("--workers", "0"),
        OCELLI_DATABASE_URL=database,
        OCELLI_STORAGE_URL=(tmp_path / "shared").as_uri(),
    )
    yield server
    server.stop()
    assert server.process.stdout is not None
    server.process.stdout.close()


def test_a_worker_on_another_machine(
    api: Server, database: str, tmp_path: Path, photos: dict[str, Path]
) -> None:
    def is_ready() -> tuple[int, str]:
        answer = requests.get(f"{api.url}/health/ready", timeout=60)
        return answer.status_code, answer.json()["checks"]["workers"]

    assert is_ready() == (200, "no worker is alive; start one with `ocelli worker`")
    cup = upload(api, photos["coffee"].read_bytes()).json()["image_id"]

    stranger = Machine(tmp_path / "stranger", database, tmp_path / "elsewhere")
    stranger.says("OCELLI_STORAGE_URL has to be the same")
    assert stranger.stop() == 0  # it was told to, while it waited for the right store
    status = get(api, f"/uploads/status/{cup}").json()
    assert status["unified_status"] == "queued", "a worker without the pictures takes none"

    worker = Machine(tmp_path / "worker", database, tmp_path / "shared")
    assert "cup" in finished(api, cup)["upload_description"].lower()
    worker.says("the secret or the custom_s3 settings are not the server's")
    assert is_ready() == (200, "ok")

    page = upload(api, photos["page"].read_bytes()).json()["image_id"]
    until(lambda: is_processing(api, page), fleeting=True)
    worker.process.kill()
    worker.process.wait()
    worker.start()
    assert finished(api, page)["upload_description"].startswith("A page of text")

    assert worker.stop() == 0


def test_an_address_that_lets_nobody_in(database: str, tmp_path: Path) -> None:
    check_connection(database)
    address = database.rpartition("/")[0]
    for wrong in (f"{address}/nothing", database.replace("ocelli:", "ocelli:x"), "no address"):
        with pytest.raises(DatabaseRefuses) as refused:
            check_connection(wrong)
        assert address.partition("@")[0].rpartition(":")[2] not in str(refused.value)
    for away in ("postgresql://a:b@127.0.0.1:9/c", "postgresql://a:b@no.invalid/c"):
        with pytest.raises(Unavailable):
            check_connection(away)


def test_one_that_comes_up_while_it_is_asked_for(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody answers the first question; by the second one it is there."""
    connect, said = psycopg.connect, iter(["connection refused"])

    def late(conninfo: str) -> psycopg.Connection:
        for text in said:
            raise psycopg.OperationalError(text)
        return connect(conninfo)

    monkeypatch.setattr(psycopg, "connect", late)
    check_connection(database)


def test_a_bucket_that_never_answers_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Bucket:
        staging = tmp_path

        async def put(self, *_: object) -> None:
            await asyncio.sleep(60)

    async def mark(*_: object) -> tuple[Bucket, str, bytes]:
        return Bucket(), "installation/x", b"mark"

    monkeypatch.setattr(installation, "_marker", mark)
    monkeypatch.setattr(installation, "MARKER_TIMEOUT", 0.1)
    installation.write_store_marker(Settings(), "")
    assert "it is too slow" in caplog.text


@pytest.mark.parametrize("command", ["worker", "serve"])
def test_a_command_says_that_it_cannot_start(command: str, database: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [*OCELLI, command, "--workers", "1", "--data", str(tmp_path / "data")],
        env={**os.environ, "OCELLI_DATABASE_URL": f"{database}s", "OCELLI_PORT": "0"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 3
    assert "does not exist" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["worker", "serve"])
def test_a_command_that_waits_for_its_database_ends_when_it_is_told_to(
    command: str, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        address = f"postgresql://127.0.0.1:{nobody.getsockname()[1]}/ocelli"
    with subprocess.Popen(
        [*OCELLI, command, "--workers", "1", "--data", str(tmp_path / "data")],
        env={
            **os.environ,
            "OCELLI_DATABASE_URL": address,
            "OCELLI_STORAGE_URL": f"file://{tmp_path}/store",
            "OCELLI_PORT": "0",
        },
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        said = ""
        while "waiting: " not in said and (line := process.stderr.readline()):
            said += line
        process.terminate()
        assert process.wait(PATIENCE) == 0, said
    assert "Traceback" not in said
