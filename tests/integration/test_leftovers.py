"""What a Postgres that was killed leaves behind, and whom we send signals to because of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.conftest import OCELLI, copy_cluster, reachable
from tests.waiting import PATIENCE

from ocelli.settings import Settings
from ocelli.storage import postmaster
from ocelli.storage.embedded import MAJOR, EmbeddedPostgres, EmbeddedPostgresError, exclusive
from ocelli.wiring.installation import database_for_command

# Says which signal it was sent, and that it is still there at the end.
BYSTANDER = """
import signal, sys
for number in range(1, 32):
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, lambda sent, _: print(sent, flush=True))
print("here", flush=True)
sys.stdin.read()
print("end", flush=True)
"""


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", BYSTANDER, "-D", "postgres"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    yield process
    process.communicate()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return reachable(tmp_path) / "postgres"


def works(postgres: EmbeddedPostgres) -> bool:
    with psycopg.connect(postgres.dsn) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


def test_another_process_that_took_the_number_is_left_alone(
    folder: Path, bystander: subprocess.Popen[str]
) -> None:
    postgres = EmbeddedPostgres(folder, durable=False)
    postgres.start()
    left = (folder / "cluster/postmaster.pid").read_text()
    postgres.stop()
    for pid in (bystander.pid, 0, -bystander.pid, "", "nonsense"):
        lines = left.splitlines()
        lines[0] = str(pid)
        (folder / "cluster/postmaster.pid").write_text("\n".join(lines) + "\n")
        again = EmbeddedPostgres(folder, durable=False)
        assert not again.runs_elsewhere
        again.start()
        assert works(again)
        again.stop()
    assert bystander.communicate()[0] == "end\n"


def test_our_own_that_was_left_behind_is_ended(folder: Path) -> None:
    first = EmbeddedPostgres(folder, durable=False)
    first.start()
    assert first._server is not None
    first._end_guard()  # as if both had been killed, and Postgres not
    second = EmbeddedPostgres(folder, durable=False)
    assert second.runs_elsewhere
    assert postmaster.serves(first._server.pid, folder / "cluster")
    second.start()
    assert first._server.wait(PATIENCE) == 0
    assert works(second)
    second.stop()


def test_a_command_does_not_use_what_is_left_behind(tmp_path: Path) -> None:
    """Its owner was killed, and it would end in the middle of the command."""
    settings = Settings(data=reachable(tmp_path))
    left = EmbeddedPostgres(settings.data / "postgres", durable=False)
    left.start()
    assert left._server is not None
    left._end_guard()  # which is slow to act
    with database_for_command(settings) as dsn, psycopg.connect(dsn) as connection:
        assert left._server.wait(PATIENCE) == 0
        assert connection.execute("SELECT 1").fetchone() == (1,)
    left.start()
    with exclusive(settings.data), database_for_command(settings) as dsn:
        assert dsn == left.dsn
        assert left.is_running
    assert left.is_running
    left.stop()


def test_a_guard_does_not_outlive_what_it_guards(
    folder: Path, bystander: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a new start is tried the dead server's number means nothing any more."""
    postgres = EmbeddedPostgres(folder, durable=False)
    postgres.start()
    postgres.stop()
    postgres._start_guard(bystander.pid)
    guard = postgres._guard
    (folder / "cluster").rename(folder / "gone")
    (folder / "cluster").mkdir()
    (folder / "cluster/PG_VERSION").write_text(MAJOR)  # and no more: this start fails
    monkeypatch.setattr("ocelli.storage.embedded.RESTART_TIMEOUT", 0)
    with pytest.raises(EmbeddedPostgresError, match="stopped while starting"):
        postgres.start()
    assert guard is not None
    assert guard.poll() == -signal.SIGKILL
    assert bystander.communicate()[0] == "end\n"
    postgres.stop()


def test_a_process_that_cannot_be_seen_is_not_believed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bytes:
        raise PermissionError

    folder.mkdir()
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert postmaster.serves(os.getpid(), folder) is None
    monkeypatch.undo()
    assert postmaster.serves(os.getpid(), folder) is False


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["keys", "list"]])
def test_data_of_another_major_version_is_named(tmp_path: Path, command: list[str]) -> None:
    """And left as it is: the version that made it can still be installed."""
    copy_cluster(reachable(tmp_path) / "postgres")
    version = tmp_path / "postgres" / "cluster" / "PG_VERSION"
    version.write_text("17\n")
    refused = subprocess.run(
        [*OCELLI, *command, "--data", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert refused.returncode == 3, refused.stderr
    said = " ".join(refused.stderr.split())
    assert "was made by Postgres 17" in said
    assert f"Postgres {MAJOR}, which cannot read it" in said
    assert "ocelli docs backup" in said
    assert version.read_text() == "17\n"
