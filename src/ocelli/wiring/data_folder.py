"""The folders of an installation; imports nothing heavy."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocelli.settings import Settings

ADDRESS = "address"
KEY = "api_key"
LOCK_ATTEMPTS = 5


class NoInstallation(RuntimeError):
    """There is no installation of this version in the folder or the database; ``hint`` says what
    makes one.
    """

    def __init__(
        self, message: str, hint: str = "`ocelli serve` makes one; --data names its folder"
    ) -> None:
        super().__init__(message)
        self.hint = hint


def make_private(settings: Settings) -> None:
    """Close the folders of data and pictures to other users of the machine.

    What is made in them later is private by the umask. One that every user may write to (``/tmp``)
    or that is another user's stays as it is.
    """
    for folder in filter(None, (settings.data, local_store(settings))):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = folder.stat().st_mode
        if mode & 0o077 and not mode & stat.S_ISVTX:
            with contextlib.suppress(PermissionError):
                folder.chmod(stat.S_IMODE(mode) & 0o700)


@contextlib.contextmanager
def publish_address(data: Path, url: str) -> Iterator[None]:
    """Publish the server's ``url`` in the folder ``data``, for the length of the block.

    The file is locked meanwhile, and the kernel ends the lock with this process, however it ends:
    an address without one is that of a server that is gone, and of a port that may be another's.
    Of two servers with one folder the first is told.
    """
    path = data / ADDRESS
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
        if not _try_lock(file):
            yield
            return
        file.truncate()
        json.dump({"url": url}, file)
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _try_lock(file: IO[str]) -> bool:
    for _ in range(LOCK_ATTEMPTS):  # who asks whether a server runs holds it for a moment
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(0.05)
    return False


def running_server(data: Path) -> str | None:
    """Return the address of the server that runs on this folder; None if none runs."""
    try:
        with (data / ADDRESS).open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                url: str = json.load(file)["url"]
                return url
    except (OSError, ValueError, LookupError):
        pass
    return None


def local_url(host: str, port: int) -> str:
    """Return the URL at which this machine reaches a server that listens on ``host``.

    >>> reached_at("0.0.0.0", 80), reached_at("::", 80)
    ('http://127.0.0.1:80', 'http://[::1]:80')
    """
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def local_store(settings: Settings) -> Path | None:
    """Return the folder of the pictures; None if they are in a bucket."""
    if settings.storage_url is None:
        return settings.data / "objects"
    if settings.storage_url.startswith("s3:"):
        return None
    return Path(unquote(urlsplit(settings.storage_url).path))
