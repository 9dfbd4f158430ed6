"""``ocelli serve`` and ``ocelli worker``."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import sys
import threading
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import psycopg
import typer

from ocelli.cli.logs import configure_logs
from ocelli.cli.main import CANNOT_RUN, fail
from ocelli.cli.metrics import metrics_folder
from ocelli.cli.options import load_settings, to_environment
from ocelli.cli.processes import ChildrenFailed, Supervisor
from ocelli.domain.errors import OcelliError, Unavailable
from ocelli.storage.embedded import EmbeddedPostgres, EmbeddedPostgresError, exclusive
from ocelli.storage.postgres.preflight import DatabaseRefuses, check_connection
from ocelli.wiring.data_folder import address_kept, make_private, reached_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ocelli.settings import Settings

log = logging.getLogger("ocelli.serve")

READY_TIMEOUT = 60.0
PATIENCE = 30.0
CANNOT_START = (
    EmbeddedPostgresError,
    DatabaseRefuses,
    OcelliError,
    ChildrenFailed,
    OSError,
    psycopg.Error,  # of a schema that cannot be brought up to date: no right to make tables, say
)


class _Stopped(Exception):
    """We were asked to stop before we had begun."""


def serve(**options: Any) -> int:
    """Everything, until SIGTERM or Ctrl-C."""
    settings = load_settings(**options)
    if settings is None:
        return CANNOT_RUN
    configure_logs(settings, "serve")
    stop = _stop_on_signals()
    try:
        make_private(settings)
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(_listen(settings))
            postgres, start = stack.enter_context(_database(settings, stop))
            address = reached_at(settings.host, listener.getsockname()[1])
            stack.enter_context(address_kept(settings.data, address))
            supervisor = Supervisor(postgres)
            stack.callback(supervisor.stop)
            environment = {**to_environment(settings), **metrics_folder(settings)}
            supervisor.add(
                "api",
                ["api", str(listener.fileno())],
                environment,
                inherited=(listener.fileno(),),
            )
            for number in range(settings.workers):
                supervisor.add(f"worker {number + 1}", ["worker", str(number + 1)], environment)
            dsn = start()  # takes as long as the children need to load
            from ocelli.wiring.installation import leave_mark, prepare  # after their start: 0.3 s

            key = prepare(settings, dsn)
            leave_mark(settings, dsn)  # makes folder and secret before children race for them
            _announce_when_ready(address, key, settings, stop)
            supervisor.keep_running(dsn, stop)
    except CANNOT_START as error:
        fail(str(error))
        return CANNOT_RUN
    except _Stopped:
        pass
    return 0


def work(**options: Any) -> int:
    """Workers alone, until SIGTERM or Ctrl-C."""
    settings = load_settings(**options)
    if settings is None:
        return CANNOT_RUN
    if settings.database_url is None:
        fail(
            "`ocelli worker` needs a database that it shares with the server.",
            "OCELLI_DATABASE_URL=postgresql://... OCELLI_STORAGE_URL=... ocelli worker",
        )
        return CANNOT_RUN
    if not settings.workers:
        fail("`ocelli worker` with no worker has nothing to do.", "--workers 1")
        return CANNOT_RUN
    from ocelli.wiring.installation import join

    configure_logs(settings, "serve")
    stop = _stop_on_signals()
    dsn = settings.database_url.get_secret_value()
    try:
        make_private(settings)
        with contextlib.ExitStack() as stack:
            _wait_until(lambda: check_connection(dsn), stop)
            _wait_until(lambda: join(settings, dsn), stop)
            supervisor = Supervisor()
            stack.callback(supervisor.stop)
            for number in range(settings.workers):
                supervisor.add(
                    f"worker {number + 1}", ["worker", str(number + 1)], to_environment(settings)
                )
            supervisor.keep_running(dsn, stop)
    except CANNOT_START as error:
        fail(str(error), "ocelli doctor, or docs/several-machines.md")
        return CANNOT_RUN
    except _Stopped:
        pass
    return 0


def _wait_until(usable: Callable[[], None], stop: threading.Event) -> None:
    """What others start may come later than we do: say what is missing, try again for a while."""
    deadline = time.monotonic() + PATIENCE
    said = None
    while True:
        try:
            usable()
            return
        except Unavailable as error:
            if time.monotonic() > deadline:
                raise
            if str(error) != said:
                said = str(error)
                log.warning("waiting: %s", said)
        if stop.wait(1.0):
            raise _Stopped


@contextlib.contextmanager
def _database(
    settings: Settings, stop: threading.Event
) -> Iterator[tuple[EmbeddedPostgres | None, Callable[[], str]]]:
    """The data folder is ours; a call waits for a running database and returns its DSN."""
    if settings.database_url is not None:
        dsn = settings.database_url.get_secret_value()

        def reached() -> str:
            _wait_until(lambda: check_connection(dsn), stop)
            return dsn

        yield None, reached
        return
    postgres = EmbeddedPostgres(settings.data / "postgres")
    with exclusive(settings.data, timeout=2.0):
        try:
            yield postgres, postgres.start
        finally:
            postgres.stop()


@contextlib.contextmanager
def _listen(settings: Settings) -> Iterator[socket.socket]:
    """The socket belongs to the supervisor: while the API restarts, clients wait in its queue."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            raise OSError(
                f"cannot listen on {settings.host}:{settings.port} ({error.strerror}). "
                "Take another port with --port."
            ) from error
        listener.listen(2048)
        listener.set_inheritable(True)
        yield listener


def _announce_when_ready(
    address: str, key: str | None, settings: Settings, stop: threading.Event
) -> None:
    def announce() -> None:
        deadline = time.monotonic() + READY_TIMEOUT
        while not stop.is_set():
            if _is_ready(address):
                if key is not None:
                    typer.echo(f"first key {key} (kept in {settings.data / 'api_key'})")
                if not settings.workers:
                    typer.echo("no workers here: pictures wait for those of `ocelli worker`")
                typer.echo(f"ready {address}")
                sys.stdout.flush()
                return
            if time.monotonic() > deadline:
                fail(f"not ready after {READY_TIMEOUT:.0f} s", f"curl {address}/health/ready")
                return
            time.sleep(0.05)

    threading.Thread(target=announce, name="announce", daemon=True).start()


def _is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health/ready", timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()
    for sig in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sig, lambda *_: stop.set())
    return stop
