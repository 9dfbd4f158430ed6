"""Read files of this machine. Blocking."""

from __future__ import annotations

import os
from pathlib import Path

from ocelli.domain.errors import TooLarge

MEGABYTE = 1024 * 1024


def read_regular(path: Path | str, max_bytes: int) -> bytes:
    """Return the bytes of a file. Raises OSError, TooLarge, and ValueError for a name with NUL."""
    path = Path(path)
    if path.exists() and not path.is_file():  # opening a pipe would wait until something writes
        raise OSError("This is no regular file but a folder, a pipe, a socket or a device.")
    with path.open("rb") as file:
        is_larger = os.fstat(file.fileno()).st_size > max_bytes  # said before it is read
        data = b"" if is_larger else file.read(max_bytes + 1)
    if is_larger or len(data) > max_bytes:
        raise TooLarge(f"The file is larger than the limit of {max_bytes // MEGABYTE} MB.")
    return data
