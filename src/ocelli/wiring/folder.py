"""The folders of an installation, before anything heavy is imported to use them."""

from __future__ import annotations

import contextlib
import stat
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from ocelli.settings import Settings


def make_private(settings: Settings) -> None:
    """Close the folders that everything is kept in to other users of the machine.

    What is made in them later is private by the umask. One that every user may write to (``/tmp``)
    or that is another user's stays as it is.
    """
    folders = [settings.data]
    if settings.storage_url is not None and not settings.storage_url.startswith("s3:"):
        folders.append(store_folder(settings.storage_url))
    for folder in folders:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = folder.stat().st_mode
        if mode & 0o077 and not mode & stat.S_ISVTX:
            with contextlib.suppress(PermissionError):
                folder.chmod(stat.S_IMODE(mode) & 0o700)


def store_folder(url: str) -> Path:
    """Of a ``file:`` URL."""
    return Path(unquote(urlsplit(url).path))
