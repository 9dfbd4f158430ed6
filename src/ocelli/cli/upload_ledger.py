"""Which files were uploaded to which server, so that a restart reads and sends none again.

Only a shortcut: a file that is missing here is compared with what the server has before it is sent.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocelli.xmp.files import FileState

_TABLE = """
CREATE TABLE IF NOT EXISTS uploaded (
    server TEXT NOT NULL, path BLOB NOT NULL, size INTEGER NOT NULL, modified INTEGER NOT NULL,
    PRIMARY KEY (server, path)
) WITHOUT ROWID
"""
WAIT = 30.0  # seconds for another process that writes


def ledger_file() -> Path:
    """Return where it is kept: in the user's folder for state."""
    given = os.environ.get("XDG_STATE_HOME", "")
    state = Path(given) if given.startswith("/") else Path.home() / ".local" / "state"
    return state / "ocelli" / "uploads.sqlite3"


class UploadLedger:
    """The ledger, for one server. Raises sqlite3.Error and OSError if it cannot be kept."""

    def __init__(self, file: Path, server: str) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._server = server
        self._connection = sqlite3.connect(file, timeout=WAIT)
        self._connection.execute(_TABLE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def has(self, path: Path, file: FileState) -> bool:
        """Whether this state of a file was uploaded."""
        query = "SELECT 1 FROM uploaded WHERE (server, path, size, modified) = (?, ?, ?, ?)"
        return self._connection.execute(query, self._row(path, file)).fetchone() is not None

    def add(self, files: Iterable[tuple[Path, FileState]]) -> None:
        """Note what the server has received; on the disk when this returns."""
        rows = [self._row(path, file) for path, file in files]
        with self._connection:
            self._connection.executemany("REPLACE INTO uploaded VALUES (?, ?, ?, ?)", rows)

    def _row(self, path: Path, file: FileState) -> tuple[str, bytes, int, int]:
        return self._server, os.fsencode(path.absolute()), file.size, file.modified
