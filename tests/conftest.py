"""What all tests share: a real Postgres, a real server, real photos."""

from __future__ import annotations

import atexit
import gc
import logging
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import hypothesis
import psycopg
import pytest
import typer.testing
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from typer.testing import CliRunner

from ocelli.backends.local.runtime import cache_folder
from ocelli.cli.demo import sample_photos
from ocelli.cli.main import app
from ocelli.storage.embedded import EmbeddedPostgres
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.storage.postgres.schema import migrate
from tests.s3.store import s3 as s3
from tests.waiting import PATIENCE

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # So `make test &` of a script has it, and all that tests start would ignore it too.
    signal.signal(signal.SIGINT, signal.default_int_handler)

gc.disable()  # until all is collected: little of what is imported and found is garbage


def pytest_collection_finish() -> None:
    """What is there stays: looking through it again and again took a quarter of the time."""
    gc.freeze()
    gc.enable()


# Typer would make the whole command line, always the same, for each call of a test, in 0.07 s.
typer.testing._get_command = cache(typer.testing._get_command)  # type: ignore[attr-defined]

# How long an example takes is the machine's affair.
hypothesis.settings.register_profile(
    "ours", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("ours")
hypothesis.settings.register_profile("few", hypothesis.settings.get_profile("ours"), max_examples=5)


def examples(percent: int) -> hypothesis.settings:
    """So much of what the profile says, for properties whose examples cost or find more."""
    return hypothesis.settings(max_examples=cases(percent))


def cases(number: int) -> int:
    """So many cases that a test makes by itself, or as many fewer as the profile has examples."""
    most: int = hypothesis.settings.default.max_examples  # type: ignore[union-attr]
    return max(1, number * most // 100)


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Commands that run in this process may log to a stream that is closed once they have ended."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


# Servers of tests share what was compiled of the models; each would take seconds for it.
os.environ.setdefault("OCELLI_CACHE", str(cache_folder()))

OCELLI = [sys.executable, "-m", "ocelli"]


@pytest.fixture(scope="session")
def photos() -> dict[str, Path]:
    """The sample photos by name, without suffix."""
    return {path.stem: path for path in sample_photos()}


@pytest.fixture(scope="session")
def dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A migrated database: in the server of OCELLI_TEST_DATABASE_URL, or an embedded one.

    Each process of a parallel run has one of its own.
    """
    given = os.environ.get("OCELLI_TEST_DATABASE_URL")
    if given:
        of_this_process = database_of_process(given, os.environ.get("PYTEST_XDIST_WORKER"))
        migrate(of_this_process)
        yield of_this_process
        return
    folder = reachable(tmp_path_factory.mktemp("postgres"))
    copy_cluster(folder)
    postgres = EmbeddedPostgres(folder, durable=False)
    yield postgres.start()
    postgres.stop()


def database_of_process(dsn: str, process: str | None) -> str:
    """The database itself, or for a process of a parallel run an empty one beside it."""
    if process is None:
        return dsn
    name = f"{conninfo_to_dict(dsn)['dbname']}_{process}"
    quoted = sql.Identifier(name)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(quoted))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(quoted))
    return make_conninfo(dsn, dbname=name)


@pytest.fixture(scope="session")
async def database(dsn: str) -> AsyncIterator[PostgresDatabase]:
    """A pool over it. Tests keep apart by making tenants of their own."""
    async with PostgresDatabase(dsn, max_connections=8) as pool:
        yield pool


@dataclass
class Server:
    """A running ``ocelli serve``."""

    process: subprocess.Popen[str]
    url: str
    data: Path

    @property
    def key(self) -> str:
        return (self.data / "api_key").read_text().strip()

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def new_key(self, tenant: str, *options: str) -> str:
        """A key of another tenant, made with the command line while the server runs.

        In this process: another one takes a second, a hundred times in the suite. In a thread, as
        the command runs an event loop of its own.
        """
        arguments = ["keys", "create", "--tenant", tenant, *options, "--data", str(self.data)]
        with ThreadPoolExecutor(1) as thread:
            made = thread.submit(CliRunner().invoke, app, arguments).result(PATIENCE)
        assert made.exit_code == 0, made.output
        return str(made.stdout.strip())

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)


def ocelli(*arguments: str, data: Path | None = None, check: bool = True) -> str:
    """Run the command; its standard output."""
    where = ["--data", str(data)] if data else []
    done = subprocess.run(
        [*OCELLI, *arguments, *where],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert not check or done.returncode == 0, done.stderr
    return done.stdout


def reachable(path: Path) -> Path:
    """pytest's folders are private; root's Postgres runs as another user and must pass them."""
    if os.geteuid() == 0:
        for folder in (path, *path.parents):
            mode = stat.S_IMODE(folder.stat().st_mode)
            if not mode & stat.S_IXOTH:
                folder.chmod(mode | stat.S_IXOTH)
    return path


@cache
def migrated_cluster() -> Path:
    """The folder of an embedded Postgres that was migrated; it will not wait for the disk."""
    folder = Path(tempfile.mkdtemp(prefix="ocelli-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    reachable(folder)
    postgres = EmbeddedPostgres(folder)
    migrate(postgres.start())
    postgres.stop()
    with (folder / "cluster" / "postgresql.conf").open("a") as settings:
        settings.write("fsync = off\nfull_page_writes = off\n")
    return folder


def copy_cluster(folder: Path) -> None:
    """Put a migrated cluster where ``EmbeddedPostgres`` finds it: making one takes a second."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("cluster", "password"):  # as they are, also whose they are
        subprocess.run(["cp", "-a", migrated_cluster() / name, folder], check=True)


def start_server(data: Path, *options: str, **environment: str) -> Server:
    """``ocelli serve`` on a free port; returns once it says that it is ready."""
    if not ((data / "postgres").exists() or "OCELLI_DATABASE_URL" in environment):
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        copy_cluster(data / "postgres")
    return first_start(data, *options, **environment)


def first_start(data: Path, *options: str, **environment: str) -> Server:
    """The same as a user's first start: it makes its database, which is safe on the disk."""
    log = (data.parent / f"{data.name}.log").open("a")
    process = subprocess.Popen(
        [*OCELLI, "serve", "--data", str(data), "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env={**os.environ, **environment},
    )
    log.close()
    assert process.stdout is not None
    too_late = threading.Timer(PATIENCE, process.terminate)
    too_late.start()
    for line in process.stdout:
        if line.startswith("ready "):
            too_late.cancel()
            return Server(process, line.split()[1], data)
    raise AssertionError(f"the server ended: {log.name}: {Path(log.name).read_text()[-2000:]}")


@pytest.fixture(scope="session")
def server(real_server: Server) -> Server:
    """One server for all tests that do not break it; tests/sdk has another one of this name."""
    return real_server


@pytest.fixture(scope="session")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """``ocelli serve`` for the whole run."""
    running = start_server(reachable(tmp_path_factory.mktemp("server")) / "data")
    yield running
    running.stop()
    assert running.process.stdout is not None
    running.process.stdout.close()
