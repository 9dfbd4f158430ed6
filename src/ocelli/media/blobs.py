"""Files on their way into a store."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import shutil
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Self

from ocelli.domain.accounts import MEGABYTE
from ocelli.domain.errors import StorageFull, TooLarge, ValidationFailed
from ocelli.media.header import read_header

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ocelli.domain.images import ImageHeader


@dataclass(frozen=True)
class DiskReserve:
    """What has to stay free on the disks of ``folders``: the database must never run dry."""

    folders: Sequence[Path] = ()
    bytes: int = 0

    def check(self) -> None:
        """Raises StorageFull."""
        for folder in self.folders:
            if shutil.disk_usage(folder).free < self.bytes:
                raise StorageFull(
                    f"There is no room to store this now: less than {self.bytes // MEGABYTE} MB "
                    "free. Try again later."
                )


class DiskWatch:
    """Whether there is room, for those who must not wait for a disk to say so."""

    def __init__(self, reserve: DiskReserve) -> None:
        self._reserve = reserve
        self._full: StorageFull | None = None

    async def look(self) -> None:
        """Find out; call it now and then."""
        try:
            await asyncio.to_thread(self._reserve.check)
            self._full = None
        except StorageFull as error:
            self._full = error

    def enforce(self) -> None:
        """Raises StorageFull if there was no room at the last look."""
        if self._full is not None:
            raise self._full


@dataclass(frozen=True)
class BlobFactory:
    """Makes writers of new files in ``folder``, as long as there is room beside the ``reserve``."""

    folder: Path
    reserve: DiskReserve = DiskReserve()

    def __call__(self, *, max_bytes: int | None = None) -> BlobWriter:
        """See BlobWriter."""
        return BlobWriter(self.folder, max_bytes=max_bytes, reserve=self.reserve)


@contextmanager
def storing() -> Iterator[None]:
    """A full disk is the server's fault, and may pass: StorageFull."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StorageFull("There is no room to store this now. Try again later.") from error


class BlobWriter:
    """A new file under a temporary name in ``folder``: counted, hashed and written in one pass.

    Use as a context manager: what no store has taken over is removed. All but the properties blocks
    on the disk, so call it from a thread.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int | None = None,
        reserve: DiskReserve = DiskReserve(),
    ) -> None:
        self.path = folder / uuid.uuid4().hex
        self.size = 0
        self._max_bytes = max_bytes
        self._reserve = reserve
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
        """Append. Raises TooLarge as soon as the limit is passed, StorageFull."""
        self.size += len(data)
        if self._max_bytes is not None and self.size > self._max_bytes:
            raise TooLarge(
                f"The file is larger than the limit of {self._max_bytes // MEGABYTE} MB.",
                details={"max_bytes": self._max_bytes},
            )
        self._reserve.check()
        self._sha256.update(data)
        with storing():
            self._opened().write(data)

    def close(self) -> None:
        """No more bytes; they are at ``path`` now. Once is enough. Raises StorageFull."""
        if self._file is not None or not self._exists:
            with storing():
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
        it stays. Raises StorageFull.

        ``once``: FileExistsError if there is something already; of several at once one succeeds.
        """
        self.close()
        with storing():
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
