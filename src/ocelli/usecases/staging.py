"""A file that is still arriving."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Self

from ocelli.domain.accounts import MEGABYTE
from ocelli.domain.errors import TooLarge, ValidationFailed
from ocelli.media.header import read_header
from ocelli.usecases.direct import DirectFile

if TYPE_CHECKING:
    from pathlib import Path

    from ocelli.domain.images import ImageHeader
    from ocelli.usecases.buffers import InHand


class StagedFile:
    """Bytes on their way into the store: counted, hashed and written in one pass.

    Use as a context manager: whatever is not taken over by the store is removed. ``inspect`` and
    ``close`` block on the disk, and so does ``write`` beyond the first megabyte: a small file is
    only in memory until it is wanted at ``path``.
    """

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        self.path = folder / uuid.uuid4().hex
        self.size = 0
        self._max_bytes = max_bytes
        self._header: ImageHeader | ValidationFailed | None = None
        self._out = DirectFile(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._out.close()
        if self._out.was_opened:
            self.path.unlink(missing_ok=True)

    def write(self, data: bytes | memoryview) -> None:
        """Append. Raises TooLarge as soon as the limit is passed; OSError if the disk is full."""
        self.size += len(data)
        if self.size > self._max_bytes:
            raise TooLarge(
                f"The file is larger than the limit of {self._max_bytes // MEGABYTE} MB.",
                details={"max_bytes": self._max_bytes},
            )
        self._out.write(data)

    def inspect(self, max_pixels: int) -> None:
        """Find out what the picture says about itself; no more bytes then. Blocks.

        It is at ``path`` if it is a picture.
        """
        in_hand = self._out.in_hand
        if in_hand is None:
            self.close()
        try:
            # A copy: whoever is cut off gives the buffer back while a thread is still in here.
            source = bytes(in_hand.content) if in_hand is not None else self.path
            self._header = read_header(source, max_pixels=max_pixels)
        except ValidationFailed as error:
            self._header = error
        else:
            self.close()

    @property
    def in_hand(self) -> memoryview | None:
        """The whole content, where ``release`` would answer it."""
        small = self._out.in_hand if self._header is None else None
        return small.content if small is not None else None

    def release(self) -> InHand | None:
        """The whole content, for the caller to store; then there is nothing at ``path``.

        None if it is too large for memory, closed or inspected.
        """
        return self._out.release() if self._header is None else None

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

    def close(self) -> None:
        """No more bytes; they are at ``path`` now. OSError if the disk is full."""
        self._out.finish()

    @property
    def sha256(self) -> str:
        """Hexadecimal, of what was written so far; not once it was released."""
        return self._out.sha256
