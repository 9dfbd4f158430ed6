"""New files that go to the disk past the page cache."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from mmap import mmap
from typing import TYPE_CHECKING

from ocelli.domain.accounts import MEGABYTE

if TYPE_CHECKING:
    from pathlib import Path

with suppress(ImportError):  # Windows
    import fcntl

BUFFER = MEGABYTE
BLOCK = 4096  # bytes; past the cache go whole ones only, from an address that is a multiple of it
MAX_SPARE = 32

# mmap gives addresses of whole pages, and new ones cost a fault each, so buffers are kept; list's
# append and pop are atomic.
_spare: list[mmap] = []


class DirectFile:
    """Bytes to a new file, through a buffer of one megabyte.

    A picture must be on the disk before its sender hears of it. Through the page cache it would be
    copied into fresh memory first, which costs two to five times the CPU of the write itself, and
    wait for the disk at the end, all at once. Where a file system knows no O_DIRECT (tmpfs, network
    folders) or a system none (macOS), the same bytes go the usual way; it is ``fsync`` that makes
    them durable, here as there.
    """

    def __init__(self, path: Path) -> None:
        self._buffer = _spare.pop() if _spare else mmap(-1, BUFFER)
        self._filled = 0
        self._written = 0
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        self._past_the_cache(wanted=True)

    @property
    def all_in_hand(self) -> bytes | None:
        """A copy of the whole content, while it still fits into the buffer and is not finished."""
        if self._written or self._descriptor < 0:
            return None
        return self._buffer[: self._filled]

    def write(self, data: bytes | memoryview) -> None:
        """Append. OSError if the disk is full."""
        view = memoryview(data)
        while view:
            piece = view[: BUFFER - self._filled]
            self._buffer[self._filled : self._filled + len(piece)] = piece
            self._filled += len(piece)
            view = view[len(piece) :]
            if self._filled == BUFFER:
                self._flush(BUFFER)

    def finish(self) -> None:
        """Write what is left, then close; once is enough. OSError if the disk is full."""
        if self._descriptor < 0:
            return
        try:
            self._flush(self._filled - self._filled % BLOCK)
            self._past_the_cache(wanted=False)
            self._flush(self._filled)
        finally:
            self.close()

    def close(self) -> None:
        """No more bytes; what is in the buffer is dropped."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            if len(_spare) < MAX_SPARE:
                _spare.append(self._buffer)
            del self._buffer

    def _flush(self, count: int) -> None:
        """The first so many bytes of the buffer, the rest moves to its beginning."""
        at = 0
        with memoryview(self._buffer) as view:
            while at < count:
                try:
                    at += os.write(self._descriptor, view[at:count])
                except OSError as error:
                    # A file system that promises too much, or half a block that went before.
                    if error.errno != errno.EINVAL or not self._is_direct:
                        raise
                    self._past_the_cache(wanted=False)
        self._written += count
        self._filled -= count
        if count and self._filled:
            self._buffer.move(0, count, self._filled)

    def _past_the_cache(self, *, wanted: bool) -> None:
        self._is_direct = False
        if hasattr(os, "O_DIRECT"):
            flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL) & ~os.O_DIRECT
            with suppress(OSError):  # EINVAL: not on this file system
                fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags | os.O_DIRECT * wanted)
                self._is_direct = wanted
