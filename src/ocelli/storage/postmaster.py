"""Read a cluster's ``postmaster.pid``, and check that its process serves the cluster.

The file outlives a Postgres that was killed, and its pid may be another process by then.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

PS_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Postmaster:
    """The content of the file: ``pid`` is above 1; ``is_ready`` once connections are accepted."""

    pid: int
    is_ready: bool


def read(cluster: Path) -> Postmaster | None:
    """Read the file; None if there is none, or it names no process."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
        pid = int(lines[0])
    except (OSError, ValueError, IndexError):
        return None
    if pid <= 1:  # to a signal these are groups of processes
        return None
    return Postmaster(pid, len(lines) > 7 and lines[7].strip() == "ready")


def serves(pid: int, cluster: Path) -> bool | None:
    """Return whether the process is a Postgres on ``cluster``; None if that is unknown."""
    command = _command(pid)
    if command is None:
        return None
    program, *arguments = command.split("\0")
    folders = [folder for flag, folder in pairwise(arguments) if flag == "-D"]
    return Path(program).name == "postgres" and any(_same(each, cluster) for each in folders)


def _same(folder: str, cluster: Path) -> bool:
    try:
        return Path(folder).samefile(cluster)
    except OSError:
        return False


def _command(pid: int) -> str | None:
    """Return program and arguments, separated by NUL; empty without such a process; None if
    unknown.
    """
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="surrogateescape")
        except (FileNotFoundError, ProcessLookupError):
            return ""
        except OSError:
            return None
    try:
        result = subprocess.run(
            ["ps", "-ww", "-o", "command=", "-p", str(pid)],
            capture_output=True,
            text=True,
            timeout=PS_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    # Spaces within a path cannot be told from those between arguments: such a path is not proved.
    return result.stdout.strip().replace(" ", "\0")
