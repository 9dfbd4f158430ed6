"""Files on their way into a store."""

from __future__ import annotations

import hashlib
import os
import uuid
from typing import TYPE_CHECKING, BinaryIO, Self

from ocelli.domain.accounts import MEGABYTE
from ocelli.domain.errors import TooLarge, ValidationFailed
from ocelli.media.header import read_header

if TYPE_CHECKING:
    from pathlib import Path

    from ocelli.domain.images import ImageHeader


class BlobWriter:
    """A new file under a temporary name in ``folder``: counted, hashed and written in one pass.

    Use as a context manager: what no store has taken over is removed. All but the properties blocks
    on the disk, so call it from a thread.
    """

    def __init__(self, folder: Path, *, max_bytes: int | None = None) -> None:
        self.path = folder / uuid.uuid4().hex
        self.size = 0
        self._max_bytes = max_bytes
        self._sha256 = hashlib.sha256()
        self._file: BinaryIO | None = None
        self._exists = False
        self._header: ImageHeader | ValidationFailed | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    @property
    def sha256(self) -> str:
        """Hexadecimal, of what was written so far."""
        return self._sha256.hexdigest()

    @property
    def is_inspected(self) -> bool:
        """Whether ``header`` may be asked for."""
        return self._header is not None

    @property
    def header(self) -> ImageHeader:
        """See ``read_header``. Raises ValidationFailed."""
        assert self._header is not None
        if isinstance(self._header, ValidationFailed):
            raise self._header
        return self._header

    def write(self, data: bytes | memoryview) -> None:
        """Append. Raises TooLarge as soon as the limit is passed; OSError if the disk is full."""
        self.size += len(data)
        if self._max_bytes is not None and self.size > self._max_bytes:
            raise TooLarge(
                f"The file is larger than the limit of {self._max_bytes // MEGABYTE} MB.",
                details={"max_bytes": self._max_bytes},
            )
        self._sha256.update(data)
        self._opened().write(data)

    def close(self) -> None:
        """No more bytes; they are at ``path`` now. Once is enough. OSError if the disk is full."""
        if self._file is not None or not self._exists:
            self._opened().close()
            self._file = None

    def inspect(self, max_pixels: int) -> None:
        """Close it, and find out what the picture says about itself."""
        self.close()
        try:
            self._header = read_header(self.path, max_pixels=max_pixels)
        except ValidationFailed as error:
            self._header = error

    def commit(self, target: Path, *, once: bool = False) -> None:
        """Move it to ``target``: a crash leaves it there whole or not at all, and once this returns
        it stays.

        ``once``: FileExistsError if there is something already; of several at once one succeeds.
        """
        self.close()
        make_folder(target.parent)
        sync(self.path)
        if once:
            target.hardlink_to(self.path)
            self.path.unlink()
        else:
            self.path.rename(target)
        sync(target.parent)  # a name is durable once its folder is

    def discard(self) -> None:
        """Remove what is at ``path``, if anything is."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._exists:
            self.path.unlink(missing_ok=True)

    def _opened(self) -> BinaryIO:
        if self._file is None:
            self._file = self.path.open("xb")
            self._exists = True
        return self._file


def make_folder(path: Path) -> None:
    """And those above it; durably, so that what they hold can be."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync(path.parent)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
