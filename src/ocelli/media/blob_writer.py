"""Files that are written on their way into a store."""

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
    """The bytes that must stay free on the disks of ``folders``, for the database."""

    folders: Sequence[Path] = ()
    bytes: int = 0

    def check(self) -> None:
        """Raise StorageFull if less is free."""
        for folder in self.folders:
            if shutil.disk_usage(folder).free < self.bytes:
                raise StorageFull(
                    f"There is no room to store this now: less than {self.bytes // MEGABYTE} MB "
                    "free. Try again later."
                )


class DiskWatch:
    """The latest result of ``DiskReserve.check``, for callers that must not block."""

    def __init__(self, reserve: DiskReserve) -> None:
        self._reserve = reserve
        self._full: StorageFull | None = None

    async def check_now(self) -> None:
        """Check the disks; called periodically."""
        try:
            await asyncio.to_thread(self._reserve.check)
            self._full = None
        except StorageFull as error:
            self._full = error

    def enforce(self) -> None:
        """Raise StorageFull if the last check failed."""
        if self._full is not None:
            raise self._full


@dataclass(frozen=True)
class BlobFactory:
    """Creates writers of new files in ``folder`` that keep the ``reserve`` free."""

    folder: Path
    reserve: DiskReserve = DiskReserve()

    def __call__(self, *, max_bytes: int | None = None) -> BlobWriter:
        """See BlobWriter."""
        return BlobWriter(self.folder, max_bytes=max_bytes, reserve=self.reserve)


@contextmanager
def storing() -> Iterator[None]:
    """Translate errors of a full disk to StorageFull."""
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
        """The SHA-256 of the bytes written so far, hexadecimal."""
        return self._sha256.hexdigest()

    @property
    def is_inspected(self) -> bool:
        """Whether ``inspect`` was called, so that ``header`` is set."""
        return self._header is not None

    @property
    def header(self) -> ImageHeader:
        """The header, see ``read_header``. Raises ValidationFailed for an invalid one."""
        assert self._header is not None
        if isinstance(self._header, ValidationFailed):
            raise self._header
        return self._header

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes. Raises TooLarge above the limit, StorageFull."""
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
        """Close the file, which is at ``path``; may be repeated. Raises StorageFull."""
        if self._file is not None or not self._exists:
            with storing():
                self._opened().close()
            self._file = None

    def inspect(self, max_pixels: int) -> None:
        """Close the file, and read its header."""
        self.close()
        try:
            self._header = read_header(self.path, max_pixels=max_pixels)
        except ValidationFailed as error:
            self._header = error

    def commit(self, target: Path, *, once: bool = False) -> None:
        """Move the file to ``target``, atomically and durably. Raises StorageFull.

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
        """Remove the file at ``path``, if there is one."""
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
    """Create a folder and its parents, durably."""
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
