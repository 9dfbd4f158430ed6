"""New files that go to the disk past the page cache."""

from __future__ import annotations

import errno
import hashlib
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from ocelli.usecases.buffers import BUFFER, Buffer, InHand

if TYPE_CHECKING:
    from pathlib import Path

with suppress(ImportError):  # Windows
    import fcntl

BLOCK = 4096  # bytes; past the cache go whole ones only, from an address that is a multiple of it


class RawFile:
    """A new file, written past the cache where that can be. OSError if the disk is full."""

    def __init__(self, path: str | Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        self._past_the_cache(wanted=True)

    def write(self, content: memoryview) -> None:
        """Append what begins at a page; if it is no multiple of a block, it is the last."""
        whole = len(content) - len(content) % BLOCK
        self._write(content[:whole])
        if whole < len(content):
            self._past_the_cache(wanted=False)
            self._write(content[whole:])

    def sync(self) -> None:
        """Wait until it is on the disk."""
        os.fsync(self._descriptor)

    def discard(self) -> None:
        """Give its room back, whatever its name stands for by now, and close it."""
        with suppress(OSError):
            os.ftruncate(self._descriptor, 0)
        self.close()

    def close(self) -> None:
        """Once is enough."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, left: memoryview) -> None:
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except OSError as error:
                # A file system that promises too much, or half a block that went before.
                if error.errno != errno.EINVAL or not self._is_direct:
                    raise
                self._past_the_cache(wanted=False)

    def _past_the_cache(self, *, wanted: bool) -> None:
        self._is_direct = False
        if hasattr(os, "O_DIRECT"):
            flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL) & ~os.O_DIRECT
            with suppress(OSError):  # EINVAL: not on this file system
                fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags | os.O_DIRECT * wanted)
                self._is_direct = wanted


class DirectFile:
    """Bytes to a new file, through a buffer of one megabyte; there is none before that is full.

    A picture must be on the disk before its sender hears of it. Through the page cache it would be
    copied into fresh memory first, which costs two to five times the CPU of the write itself, and
    wait for the disk at the end, all at once. Where a file system knows no O_DIRECT (tmpfs, network
    folders) or a system none (macOS), the same bytes go the usual way; it is ``fsync`` that makes
    them durable, here as there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._buffer: Buffer | None = Buffer()
        self._filled = 0
        self._file: RawFile | None = None
        self._sha256 = hashlib.sha256()  # of what has left the buffer

    @property
    def was_opened(self) -> bool:
        """Whether there may be something at ``path``."""
        return self._file is not None

    @property
    def in_hand(self) -> InHand | None:
        """The whole content, while it fits into the buffer and ``finish`` was not called."""
        if self._buffer is None or self._file is not None:
            return None
        return InHand(self._buffer, self._filled)

    @property
    def sha256(self) -> str:
        """Hexadecimal, of what was written so far."""
        digest = self._sha256
        if self._buffer is not None and self._filled:
            digest = digest.copy()
            digest.update(self._buffer.view[: self._filled])
        return digest.hexdigest()

    def release(self) -> InHand | None:
        """What is in hand is the caller's now; there will be no file here."""
        content = self.in_hand
        if content is not None:
            self._buffer = None
        return content

    def write(self, data: bytes | memoryview) -> None:
        """Append. OSError if the disk is full."""
        assert self._buffer is not None
        view = memoryview(data)
        while view:
            piece = view[: BUFFER - self._filled]
            self._buffer.view[self._filled : self._filled + len(piece)] = piece
            self._filled += len(piece)
            view = view[len(piece) :]
            if self._filled == BUFFER:
                self._flush(self._buffer)

    def finish(self) -> None:
        """Write what is left, then close; once is enough. OSError if the disk is full."""
        if self._buffer is None:
            return
        try:
            self._flush(self._buffer)
        finally:
            self.close()

    def close(self) -> None:
        """No more bytes; what is in the buffer is dropped."""
        if self._file is not None:
            self._file.close()
        if self._buffer is not None:
            self._buffer.give_back()
            self._buffer = None

    def _flush(self, buffer: Buffer) -> None:
        if self._file is None:
            self._file = RawFile(self._path)
        content = buffer.view[: self._filled]
        self._sha256.update(content)
        self._file.write(content)
        self._filled = 0
