"""A child process of ``ocelli describe``, from the side of the command.

It imports what the models need as soon as it is started, and waits for what it is to do: so the
command starts the first one before it knows its own settings. What it is told first is how to run
the models, which it reads while it imports all else.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from multiprocessing import Pipe
from typing import IO, TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing.connection import Connection
    from pathlib import Path

    from ocelli.backends.local.runtime import Runtime

COMMAND = (sys.executable, "-m", "ocelli.cli.child", "describer")
STOP_TIMEOUT = 5.0


class DescriberProcess:
    """A process and the pictures that it has. What it says for people goes to ``log``.

    As a context manager it is ended after the block, and the log closed.
    """

    def __init__(self, log: IO[bytes] | None = None) -> None:
        self._is_configured = False
        self.log = log or tempfile.TemporaryFile()  # noqa: SIM115 - for all processes
        self.connection: Connection[Any, Any]
        self.connection, theirs = Pipe()
        self.paths: list[Path] = []
        with theirs:
            self._child = subprocess.Popen(
                [*COMMAND, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stderr=self.log,
                start_new_session=True,  # Ctrl-C is for the command, which ends them
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self.log.close()

    def configure(
        self,
        runtime: Runtime,
        environment: Mapping[str, str],
        level: str,
        tags_from: tuple[Path, str] | None,
    ) -> None:
        """Send the settings, as variables of its environment, and how to describe; once."""
        self._is_configured = True
        self._send((runtime, dict(environment), level, tags_from))

    def begin(self, path: Path) -> None:
        """Send a path."""
        self.paths.append(path)
        self._send(path)

    def end(self) -> str:
        """End the process, if that has not happened; return how it ended, for people."""
        self.connection.close()
        if not self._is_configured:  # it may be importing still
            self._child.kill()
        try:
            code = self._child.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._child.kill()
            code = self._child.wait()
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def _send(self, message: Any) -> None:
        with contextlib.suppress(OSError):  # it has just died, which the next answer tells
            self.connection.send(message)
