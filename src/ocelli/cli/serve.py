"""``ocelli serve`` and ``ocelli worker``."""

from __future__ import annotations

import contextlib
import logging
import socket
import sys
import threading
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import psycopg
import typer

from ocelli.cli.logs import configure_logs
from ocelli.cli.metrics import metrics_folder
from ocelli.cli.model_process import NoModel, model_process
from ocelli.cli.options import load_settings, to_environment
from ocelli.cli.output import CANNOT_RUN, fail
from ocelli.cli.processes import ChildrenFailed, Supervisor
from ocelli.cli.signals import stop_on_signals
from ocelli.domain.errors import OcelliError, Unavailable
from ocelli.storage.embedded import EmbeddedPostgres, EmbeddedPostgresError, exclusive
from ocelli.storage.postgres.preflight import DatabaseRefuses, check_connection
from ocelli.storage.postgres.schema import NewerSchema
from ocelli.wiring.data_folder import local_url, make_private, publish_address
from ocelli.wiring.tracing import how_to_install, lacks_tracing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ocelli.settings import Settings

log = logging.getLogger("ocelli.serve")

READY_TIMEOUT = 60.0
DATABASE_TIMEOUT = 30.0
CANNOT_START = (
    EmbeddedPostgresError,
    DatabaseRefuses,
    NewerSchema,
    OcelliError,
    ChildrenFailed,
    OSError,
    psycopg.Error,  # of a schema that cannot be brought up to date: no right to make tables, say
)


class _Stopped(Exception):
    """The process was asked to stop before it was ready."""


def serve(**options: Any) -> int:
    """Run API, workers and Postgres until SIGTERM or Ctrl-C. Returns the exit code."""
    settings = load_settings(**options)
    if not _can_trace(settings):
        return CANNOT_RUN
    configure_logs(settings, "serve")
    stop = stop_on_signals()
    try:
        make_private(settings)
        with contextlib.ExitStack() as stack:
            model = stack.enter_context(model_process(settings))
            settings = model.settings
            listener = stack.enter_context(_listen(settings))
            postgres, start = stack.enter_context(_database(settings, stop))
            address = local_url(settings.host, listener.getsockname()[1])
            stack.enter_context(publish_address(settings.data, address))
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
            model.start(supervisor, environment)
            dsn = start()  # takes as long as the children need to load
            from ocelli.wiring.installation import (  # after their start: 0.3 s
                console_link,
                prepare,
                write_store_marker,
            )

            key = prepare(settings, dsn)
            write_store_marker(
                settings, dsn
            )  # makes folder and secret before children race for them
            link = console_link(settings, dsn, address)
            _announce_when_ready(address, key, link, settings, stop)
            supervisor.keep_running(dsn, stop)
    except CANNOT_START as error:
        fail(str(error))
        return CANNOT_RUN
    except NoModel as error:
        return error.code
    except _Stopped:
        pass
    return 0


def work(**options: Any) -> int:
    """Run workers only, until SIGTERM or Ctrl-C. Returns the exit code."""
    settings = load_settings(**options)
    if not _can_trace(settings):
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
    from ocelli.wiring.installation import check_installation

    configure_logs(settings, "serve")
    stop = stop_on_signals()
    dsn = settings.database_url.get_secret_value()
    try:
        make_private(settings)
        with contextlib.ExitStack() as stack:
            _wait_until(lambda: check_connection(dsn), stop)
            _wait_until(lambda: check_installation(settings, dsn), stop)
            supervisor = Supervisor()
            stack.callback(supervisor.stop)
            model = stack.enter_context(model_process(settings))
            model.start(supervisor)
            for number in range(settings.workers):
                supervisor.add(
                    f"worker {number + 1}",
                    ["worker", str(number + 1)],
                    to_environment(model.settings),
                )
            supervisor.keep_running(dsn, stop)
    except CANNOT_START as error:
        fail(str(error), "ocelli doctor, or ocelli docs several-machines")
        return CANNOT_RUN
    except NoModel as error:
        return error.code
    except _Stopped:
        pass
    return 0


def _can_trace(settings: Settings) -> bool:
    """Return whether traces can be made, if the settings ask for them; else say what is missing."""
    if not lacks_tracing(settings):
        return True
    fail("`otlp_endpoint` is set, and what makes traces is not installed", how_to_install())
    return False


def _wait_until(check: Callable[[], None], stop: threading.Event) -> None:
    """Call ``check`` until it raises no Unavailable, at most ``DATABASE_TIMEOUT`` seconds."""
    deadline = time.monotonic() + DATABASE_TIMEOUT
    logged = None
    while True:
        try:
            check()
            return
        except Unavailable as error:
            if time.monotonic() > deadline:
                raise
            if str(error) != logged:
                logged = str(error)
                log.warning("waiting: %s", logged)
        if stop.wait(1.0):
            raise _Stopped


@contextlib.contextmanager
def _database(
    settings: Settings, stop: threading.Event
) -> Iterator[tuple[EmbeddedPostgres | None, Callable[[], str]]]:
    """Lock the data folder for the block; gives the embedded Postgres, if any, and a function that
    waits for the database and returns its DSN.
    """
    if settings.database_url is not None:
        dsn = settings.database_url.get_secret_value()

        def wait_for_database() -> str:
            _wait_until(lambda: check_connection(dsn), stop)
            return dsn

        yield None, wait_for_database
        return
    postgres = EmbeddedPostgres(settings.data / "postgres")
    with exclusive(settings.data, timeout=2.0):
        try:
            yield postgres, postgres.start
        finally:
            postgres.stop()


@contextlib.contextmanager
def _listen(settings: Settings) -> Iterator[socket.socket]:
    """Give the listening socket, which is the supervisor's: clients wait in its queue while the API
    restarts.
    """
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
    address: str, key: str | None, link: str | None, settings: Settings, stop: threading.Event
) -> None:
    def announce() -> None:
        deadline = time.monotonic() + READY_TIMEOUT
        while not stop.is_set():
            if _is_ready(address):
                if key is not None:
                    typer.echo(f"first key {key} (kept in {settings.data / 'api_key'})")
                if not settings.backends:
                    from ocelli.wiring.models import advice

                    typer.echo(advice(settings))
                if not settings.workers:
                    typer.echo("no workers here: pictures wait for those of `ocelli worker`")
                if link is not None:
                    typer.echo(f"console {link} (signs you in once, within ten minutes)")
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
