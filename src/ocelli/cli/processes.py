"""The processes of one installation: a supervisor, the API, workers, Postgres.

Each child reads a pipe whose writing end only the supervisor has. What comes through it is the
database, once that is ready; until then children import and load what they need. When the
supervisor dies, however it dies, the kernel closes the pipe and every child ends itself: nothing
is left behind. A child that dies is started again, more slowly each time it dies young.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocelli.storage.embedded import EmbeddedPostgresError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocelli.storage.embedded import EmbeddedPostgres

log = logging.getLogger("ocelli.serve")

STOP_TIMEOUT = 8.0
MIN_LIFETIME = 10.0
MAX_RESTART_INTERVAL = 5.0
MAX_EARLY_DEATHS = 5  # early deaths in a row


class ChildrenFailed(RuntimeError):
    """A child dies at every start: the installation is broken."""


def follow_supervisor() -> Future[str]:
    """Return the future DSN, and end this child process when the supervisor dies.

    The process ends at once, as nothing needs a clean end: requests that are cut off had no answer,
    and the sweep gives back the jobs of a worker.
    """
    dsn: Future[str] = Future()

    def listen() -> None:
        if dsn_bytes := os.read(0, select.PIPE_BUF):
            dsn.set_result(dsn_bytes.decode())
            os.read(0, 1)  # nothing more is said: this waits for the end
        os._exit(1)

    threading.Thread(target=listen, name="lifeline", daemon=True).start()
    return dsn


@dataclass
class Child:
    """One process that the supervisor keeps running."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    inherited: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    deaths: int = 0
    start_at: float = 0.0
    has_lived: bool = False

    @property
    def is_running(self) -> bool:
        """Whether its process is alive."""
        return self.process is not None and self.process.poll() is None

    def send_dsn(self, dsn: str) -> None:
        """Send the DSN: at most ``PIPE_BUF`` bytes, which a pipe does not split."""
        assert self.process is not None
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has just died; the next one gets it
            self.process.stdin.write(dsn.encode())


class Supervisor:
    """Starts the child processes, sends them the DSN, and restarts those that die."""

    def __init__(self, postgres: EmbeddedPostgres | None = None) -> None:
        self._postgres = postgres
        self._children: list[Child] = []
        self._dsn: str | None = None

    def add(
        self,
        name: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        inherited: tuple[int, ...] = (),
    ) -> None:
        """Start ``python -m ocelli.cli.child`` with these arguments, to be kept running."""
        child = Child(name, arguments, environment, inherited)
        self._children.append(child)
        self._start(child)

    def keep_running(self, dsn: str, stop: threading.Event) -> None:
        """Keep the children running until ``stop`` is set; the database is ready.

        Raises ChildrenFailed if a child dies again and again at once.
        """
        self._dsn = dsn
        for child in self._children:
            child.send_dsn(dsn)
            child.started_at = time.monotonic()  # however long it waited, it has not worked yet
        while not stop.wait(0.05):
            if self._postgres is not None and not self._postgres.is_running:
                self._restart(self._postgres)
            for child in self._children:
                self._restart_if_dead(child)

    def stop(self) -> None:
        """Send SIGTERM to all; kill those that have not ended after ``STOP_TIMEOUT``.

        Before they have a database they are killed at once, as they have nothing to finish.
        """
        for child in self._children:
            if child.process is not None:
                child.process.send_signal(signal.SIGTERM if self._dsn else signal.SIGKILL)
        deadline = time.monotonic() + STOP_TIMEOUT
        for child in self._children:
            if child.process is None:
                continue
            with child.process as process:
                try:
                    process.wait(max(0.0, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    log.warning("%s did not end in time", child.name)
                    process.kill()

    def _restart(self, postgres: EmbeddedPostgres) -> None:
        log.error("Postgres died; starting it again")
        try:
            postgres.start()
        except (EmbeddedPostgresError, OSError) as error:  # a full disk, say: tried again
            log.error("%s", error)
            time.sleep(1.0)

    def _restart_if_dead(self, child: Child) -> None:
        if child.is_running:
            return
        if child.process is not None:
            with child.process as process:
                code, child.process = process.returncode, None
            age = time.monotonic() - child.started_at
            child.deaths = child.deaths + 1 if age < MIN_LIFETIME else 1
            child.has_lived = child.has_lived or age >= MIN_LIFETIME
            if child.deaths >= MAX_EARLY_DEATHS and not child.has_lived:
                raise ChildrenFailed(f"{child.name} cannot start; what it said:")
            wait = min(MAX_RESTART_INTERVAL, 0.1 * 2 ** (child.deaths - 1))
            child.start_at = time.monotonic() + wait
            log.error("%s ended (%s); starting it again in %.1f s", child.name, code, wait)
        if time.monotonic() >= child.start_at:
            self._start(child)

    def _start(self, child: Child) -> None:
        child.started_at = time.monotonic()
        child.process = subprocess.Popen(
            [sys.executable, "-m", "ocelli.cli.child", *child.arguments],
            env={**os.environ, **child.environment},
            pass_fds=child.inherited,
            bufsize=0,
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C reaches the supervisor, which ends them in order
        )
        if self._dsn is not None:
            child.send_dsn(self._dsn)
