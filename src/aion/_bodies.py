"""Request bodies that are read from disk while they are sent: exact length, nothing held."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from aion._files import PIECE, Source

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_ESCAPES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


@dataclass(frozen=True)
class FileBody:
    """One file, raw."""

    source: Source
    length: int
    content_type: str

    def pieces(self) -> Iterator[bytes]:
        """The bytes; blocking."""
        return self.source.pieces(self.length)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return in_threads(self.pieces())


def _boundary() -> str:
    return os.urandom(16).hex()


@dataclass(frozen=True)
class Multipart:
    """Form fields and files. ``files`` holds (field name, file, size in bytes)."""

    fields: dict[str, str]
    files: list[tuple[str, Source, int]]
    boundary: str = field(default_factory=_boundary)

    @property
    def content_type(self) -> str:
        """The header that goes with it."""
        return f"multipart/form-data; boundary={self.boundary}"

    @property
    def length(self) -> int:
        """Its exact size in bytes."""
        heads = len(self._preamble()) + len(self._end())
        return heads + sum(
            len(self._head(name, source)) + size + 2 for name, source, size in self.files
        )

    def pieces(self) -> Iterator[bytes]:
        """The bytes; blocking. Small ones are joined, so that few trips to a thread are needed."""
        waiting, size = [self._preamble()], 0
        for name, source, length in self.files:
            waiting.append(self._head(name, source))
            for piece in source.pieces(length):
                waiting.append(piece)
                size += len(piece)
                if size >= PIECE // 2:
                    yield b"".join(waiting)
                    waiting, size = [], 0
            waiting.append(b"\r\n")
        yield b"".join([*waiting, self._end()])

    def __aiter__(self) -> AsyncIterator[bytes]:
        return in_threads(self.pieces())

    def _preamble(self) -> bytes:
        return b"".join(
            f"--{self.boundary}\r\nContent-Disposition: form-data; "
            f'name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in self.fields.items()
        )

    def _head(self, name: str, source: Source) -> bytes:
        escaped = source.filename.translate(_ESCAPES)
        # As browsers send it, and where that changes the name also the name itself.
        exact = f"; filename*=UTF-8''{quote(source.filename, safe='', errors='replace')}"
        return (
            f"--{self.boundary}\r\nContent-Disposition: form-data; "
            f'name="{name}"; filename="{escaped}"{exact if escaped != source.filename else ""}\r\n'
            f"Content-Type: {source.content_type}\r\n\r\n"
        ).encode("utf-8", "replace")

    def _end(self) -> bytes:
        return f"--{self.boundary}--\r\n".encode()


Body = FileBody | Multipart


async def in_threads(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Drives a blocking iterator without blocking the event loop."""
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield piece
