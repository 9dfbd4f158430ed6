"""Server-sent events, as servers write them.

Lines end with LF, CRLF or CR; before the first may stand a byte order mark, between events
comments; data may be spread over several lines; a piece of it may end anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """``data`` is None for a comment."""

    data: bytes | None
    name: str = ""


class EventParser:
    """Fed with bytes as they come. ``waiting`` counts those of an event that is not whole yet."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._after_cr = False
        self._is_first = True

    @property
    def waiting(self) -> int:
        """In bytes."""
        return len(self._buffer)

    def feed(self, piece: bytes) -> Iterator[ServerSentEvent]:
        """Events that are whole now."""
        buffer, old = self._buffer, len(self._buffer)
        buffer += self._with_lf(piece)
        end = buffer.rfind(b"\n\n", max(0, old - 1))
        if end < 0:
            return iter(())
        whole = bytes(buffer[:end])
        del buffer[: end + 2]
        return self._events(whole)

    def end(self) -> Iterator[ServerSentEvent]:
        """What has no empty line behind it, perhaps because the server hung up."""
        whole = bytes(self._buffer)
        self._buffer.clear()
        return self._events(whole)

    def _with_lf(self, piece: bytes) -> bytes:
        """An LF for each end of a line; a CR may be the first half of one."""
        if self._after_cr and piece:
            piece = piece.removeprefix(b"\n")
            self._after_cr = False
        if b"\r" not in piece:
            return piece
        self._after_cr = piece.endswith(b"\r")
        return piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _events(self, whole: bytes) -> Iterator[ServerSentEvent]:
        if self._is_first:
            whole = whole.removeprefix(BOM)
            self._is_first = False
        for block in whole.split(b"\n\n"):
            if text := block.strip(b"\n"):
                yield _event(text)


def _event(block: bytes) -> ServerSentEvent:
    if block.startswith(b"data: {") and b"\n" not in block:  # nearly all of them
        return ServerSentEvent(block[6:])
    name, data = "", []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode(errors="replace").strip()
    return ServerSentEvent(b"\n".join(data).strip() or None, name)
