"""What the tools' argument ``picture`` means: an address, a file, or a picture of the library."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ocelli.media.data_url import NotBase64, decode_data_url, is_data_url

if TYPE_CHECKING:
    from collections.abc import Sequence

SCHEME = "ocelli://pictures/"  # and the id of a picture of the library
MAX_FILE = 100 * 1024 * 1024  # bytes

_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class UnusablePicture(ValueError):
    """The argument names no picture that may be looked at. The message is for the agent."""


@dataclass(frozen=True, slots=True)
class LibraryPicture:
    """A picture of the library, by its id."""

    id: str


class Pictures:
    """Reads pictures. Files only below ``folders``, links followed; without folders none."""

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self._folders = [folder.resolve() for folder in folders]

    def open(self, picture: str) -> str | bytes | LibraryPicture:
        """Return the address, the bytes or the id that ``picture`` means. Blocks.

        Raises UnusablePicture.
        """
        picture = picture.strip()
        id = picture.removeprefix(SCHEME)
        if _ID.fullmatch(id):
            return LibraryPicture(id)
        if _ADDRESS.match(picture):
            return picture
        if is_data_url(picture):
            try:
                return decode_data_url(picture)
            except NotBase64 as error:
                raise UnusablePicture(f"The data URL cannot be read: {error}.") from error
        return self._read(Path(picture.removeprefix("file://")).expanduser())

    def _read(self, path: Path) -> bytes:
        if not self._folders:
            raise UnusablePicture(
                "Files cannot be read here. Give an http or https address, a data URL, or the id "
                "of a picture of the library."
            )
        allowed = ", ".join(map(str, self._folders))
        if not path.is_absolute():
            path = self._folders[0] / path
        resolved = path.resolve()
        # Before anything is said of the file: what lies elsewhere is not to be found out.
        if not any(resolved.is_relative_to(folder) for folder in self._folders):
            raise UnusablePicture(f"{path} is not in an allowed folder: {allowed}.")
        try:
            # Resolved already: a link that was put there meanwhile is not followed.
            descriptor = os.open(resolved, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                data = file.read(MAX_FILE + 1)
        except OSError as error:
            raise UnusablePicture(f"{path} cannot be read: {error.strerror}.") from error
        if len(data) > MAX_FILE:
            raise UnusablePicture(f"{path} is larger than {MAX_FILE // 1024 // 1024} MB.")
        return data
