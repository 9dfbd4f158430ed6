"""Entry point of child processes.

``api FD``, ``worker NUMBER`` and ``model FD`` are the supervisor's, ``describer FD`` is that of
``ocelli describe``, ``bulk FD`` that of ``ocelli bulk``.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
import sys
from typing import TYPE_CHECKING

import uvloop

from ocelli.cli.output import PRIVATE
from ocelli.cli.processes import follow_supervisor
from ocelli.domain.analysis import VerificationLevel

if TYPE_CHECKING:
    from concurrent.futures import Future

# Workers yield to the API and Postgres, which clients wait for and which need little.
NICE = 5
MAX_CONNECTIONS = 3000  # each may hold 64 KB of a head
OTHER_FILES = 256  # the database, the store, pictures on their way
MAX_FILES = 65_536  # where there is no limit


def main() -> None:
    """Run a child process. The supervisor's get their DSN through a pipe, once there is one."""
    gc.disable()  # until it has started: little of what is imported is garbage
    os.umask(PRIVATE)
    # One core per process: native libraries would each start a thread per core.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VIPS_CONCURRENCY"):
        os.environ.setdefault(name, "1")
    match sys.argv[1:]:
        case ["describer", descriptor]:
            _describe(int(descriptor))
        case ["bulk", descriptor]:
            _work_in_bulk(int(descriptor))
        case _:
            _serve(follow_supervisor())


def _describe(descriptor: int) -> None:
    from multiprocessing.connection import Connection

    from ocelli.cli.describer import describe, prepare, prepare_models

    with Connection(descriptor) as connection:
        models = prepare_models()
        try:
            runtime, environment, level, tags_from = connection.recv()
        except EOFError:  # the command found nothing to describe
            return
        prepare(models, runtime)
        os.environ.update(environment)
        _collect_garbage()
        asyncio.run(describe(connection, VerificationLevel(level), *tags_from or ()))


def _work_in_bulk(descriptor: int) -> None:
    from multiprocessing.connection import Connection

    from ocelli.bulk.child import serve
    from ocelli.wiring.bulk import build_picture_worker

    with Connection(descriptor) as connection:
        try:
            plan = connection.recv()
        except EOFError:  # the command has ended already
            return
        _collect_garbage()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(connection, plan, build_picture_worker))


def _serve(dsn: Future[str]) -> None:
    from ocelli.cli.logs import configure_logs
    from ocelli.cli.metrics import count_as
    from ocelli.settings import Settings
    from ocelli.wiring.tracing import tracing

    settings = Settings()
    files = _raise_file_limit()
    match sys.argv[1:]:
        case ["api", descriptor]:
            configure_logs(settings, "api")
            count_as("api")
            with tracing(settings, "api"):
                _api(dsn, int(descriptor), files)
        case ["worker", number]:
            configure_logs(settings, f"worker-{number}")
            count_as(f"worker-{number}")
            with (
                tracing(settings, f"worker-{number}"),
                asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
            ):
                runner.run(work(dsn))
            os._exit(0)  # nothing is left to end well, and taking models apart would cost 0.3 s
        case ["model", descriptor]:
            configure_logs(settings, "model")
            count_as("model")
            asyncio.run(_host_model(int(descriptor)))
            os._exit(0)
        case _:
            sys.exit(f"unknown child: {sys.argv[1:]}")


def _raise_file_limit() -> int:
    """Raise the limit of open files to the hard limit; return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = MAX_FILES if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < target:
        with contextlib.suppress(ValueError, OSError):  # a system with a bound of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
            return target
    return target if soft == resource.RLIM_INFINITY else soft


def _api(dsn: Future[str], descriptor: int, files: int) -> None:
    import uvicorn

    import ocelli.api.app  # noqa: F401
    from ocelli.api.connections import Connections
    from ocelli.api.dialects import dialects
    from ocelli.api.proxies import ForwardedAddress
    from ocelli.settings import Settings
    from ocelli.wiring.api import build_api

    dialects()  # with the application what takes longest, while the database is made ready
    settings = Settings()
    connections = Connections(
        max_connections=max(1, min(MAX_CONNECTIONS, files - OTHER_FILES)),
        per_address=settings.connections_per_address,
        proxies=settings.proxy_networks,
    )
    config = uvicorn.Config(
        ForwardedAddress(build_api(settings, dsn.result()), connections.is_proxy),
        loop="uvloop",
        http=connections.protocol,  # type: ignore[arg-type]
        ws="none",
        proxy_headers=False,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=6,
        timeout_keep_alive=30,
        backlog=2048,
    )
    _collect_garbage()
    # A collection over a thousand connections blocks all requests for 20 ms: a tenth as often.
    gc.set_threshold(700, 10, 100)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


async def _host_model(descriptor: int) -> None:
    from ocelli.settings import Settings
    from ocelli.wiring.models import build_host

    stop = _stop_on_signals()
    _collect_garbage()
    await build_host(Settings()).run(socket.socket(fileno=descriptor), stop)


def _collect_garbage() -> None:
    """From now on, but not of what is there already: it stays, and little of it is garbage."""
    gc.freeze()
    gc.enable()


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sig in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sig, stop.set)
    return stop


async def work(dsn: Future[str]) -> None:
    """Load the models, wait for the database, work until SIGTERM."""
    os.nice(NICE)
    from ocelli.settings import Settings
    from ocelli.wiring.worker import build_worker

    stop = _stop_on_signals()
    async with build_worker(Settings(), asyncio.wrap_future(dsn)) as worker:
        _collect_garbage()
        await worker.run(stop)


if __name__ == "__main__":
    main()
