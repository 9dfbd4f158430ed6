"""A file that is still arriving."""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING, Self

from ocelli.domain.accounts import MEGABYTE
from ocelli.domain.errors import TooLarge, ValidationFailed
from ocelli.media.header import read_header
from ocelli.usecases.direct import DirectFile

if TYPE_CHECKING:
    from pathlib import Path

    from ocelli.domain.images import ImageHeader


class StagedFile:
    """Bytes on their way into the store: written, counted and hashed in one pass.

    Use as a context manager: whatever is not taken over by the store is removed. ``write``,
    ``inspect`` and ``close`` block on the disk; call them from a thread.
    """

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        self.path = folder / uuid.uuid4().hex
        self.size = 0
        self._max_bytes = max_bytes
        self._sha256 = hashlib.sha256()
        self._header: ImageHeader | ValidationFailed | None = None
        self._out = DirectFile(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._out.close()
        self.path.unlink(missing_ok=True)

    def write(self, data: bytes | memoryview) -> None:
        """Append. Raises TooLarge as soon as the limit is passed; OSError if the disk is full."""
        self.size += len(data)
        if self.size > self._max_bytes:
            raise TooLarge(
                f"The file is larger than the limit of {self._max_bytes // MEGABYTE} MB.",
                details={"max_bytes": self._max_bytes},
            )
        self._sha256.update(data)
        self._out.write(data)

    def inspect(self, max_pixels: int) -> None:
        """Find out what the picture says about itself; no more bytes then. Blocks."""
        content = self._out.all_in_hand
        self.close()
        try:
            self._header = read_header(content or self.path, max_pixels=max_pixels)
        except ValidationFailed as error:
            self._header = error

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
        """No more bytes. OSError if the disk is full."""
        self._out.finish()

    @property
    def sha256(self) -> str:
        """Hexadecimal, of what was written so far."""
        return self._sha256.hexdigest()
