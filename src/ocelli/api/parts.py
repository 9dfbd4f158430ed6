"""Take a multipart body apart while it arrives (RFC 2046, RFC 7578). No I/O, no copies of files.

Lenient where senders differ: text before the first boundary and after the last one is skipped, and
a boundary that nothing of a boundary follows is part of the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_HEAD = 16 * 1024  # headers of one part

_FORM = re.compile(r"multipart/form-data\s*;", re.IGNORECASE)
_BOUNDARY = re.compile(
    r';\s*boundary\s*=\s*(?:"([^"\r\n]{1,200})"|([^\s;,"]{1,200}))', re.IGNORECASE
)
_DISPOSITION = re.compile(rb"content-disposition\s*:\s*form-data\s*(;.*)", re.IGNORECASE)
_PARAMETER = re.compile(rb';\s*([\w*.-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))')
_QUOTED = re.compile(rb'\\(["\\])')
_REST_OF_BOUNDARY = re.compile(rb"--|[ \t]*\r\n")
_UNFINISHED = re.compile(rb"-?|[ \t]*\r?")
_LONGEST_REST = 100


class BrokenForm(ValueError):
    """No multipart form."""


class Target(Protocol):
    """Where a part goes."""

    def write(self, data: memoryview) -> None:
        """The next bytes of it; what is kept must be copied."""
        ...

    def finish(self) -> None:
        """That was all of it."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """What a part says about itself."""

    name: str
    filename: str | None = None


def boundary_of(content_type: str) -> bytes:
    """The boundary that a Content-Type announces. Raises BrokenForm.

    >>> boundary_of("multipart/form-data; boundary=abc")
    b'abc'
    """
    found = _BOUNDARY.search(content_type)
    if found is None or not _FORM.match(content_type):
        raise BrokenForm(content_type)
    return (found[1] or found[2]).encode("latin-1", "replace")


class Parts:
    """One body. ``begin`` says where a part goes; None: nowhere."""

    def __init__(self, boundary: bytes, begin: Callable[[Part], Target | None]) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._begin = begin
        self._rest = b"\r\n"  # so that the first boundary begins like the others
        self._target: Target | None = None
        self._step: Callable[[bytes, int], int | None] = self._in_part

    def feed(self, *pieces: bytes) -> None:
        """The next bytes. Raises BrokenForm, and whatever a target raises."""
        data = b"".join((self._rest, *pieces))
        at = 0
        while (reached := self._step(data, at)) is not None:
            at = reached

    def _in_part(self, data: bytes, at: int) -> int | None:
        """Up to the next boundary, or what is surely not the beginning of one."""
        found = data.find(self._delimiter, at)
        if found >= 0:
            self._pass_on(data, at, found)
            self._step = self._after_boundary
            return found + len(self._delimiter)
        kept = data.find(b"\r", max(at, len(data) - len(self._delimiter) + 1))
        kept = len(data) if kept < 0 else kept
        self._pass_on(data, at, kept)
        self._rest = data[kept:]
        return None

    def _after_boundary(self, data: bytes, at: int) -> int | None:
        """Another part, the end, or no boundary at all."""
        rest = data[at : at + _LONGEST_REST]
        found = _REST_OF_BOUNDARY.match(rest)
        if found is None:
            if _UNFINISHED.fullmatch(rest) and len(rest) < _LONGEST_REST:
                self._rest = rest
                return None
            self._pass_on(self._delimiter, 0, len(self._delimiter))
            self._step = self._in_part
            return at
        if self._target is not None:
            self._target.finish()
            self._target = None
        last = found[0] == b"--"
        self._step = self._after_all if last else self._in_head
        # A part without any header has its empty line right here.
        return at + found.end() - (0 if last else 2)

    def _in_head(self, data: bytes, at: int) -> int | None:
        """Headers, from the line end before them to their empty line."""
        end = data.find(b"\r\n\r\n", at)
        if (len(data) if end < 0 else end) - at > LONGEST_HEAD:
            raise BrokenForm("the headers of a part are too long")
        if end < 0:
            self._rest = data[at:]
            return None
        self._target = self._begin(_part(data[at:end]))
        self._step = self._in_part
        return end + 4

    def _after_all(self, data: bytes, at: int) -> int | None:
        self._rest = b""
        return None

    def _pass_on(self, data: bytes, start: int, end: int) -> None:
        if self._target is not None and end > start:
            self._target.write(memoryview(data)[start:end])


def _part(head: bytes) -> Part:
    for line in head.split(b"\r\n"):
        if found := _DISPOSITION.match(line):
            values = {
                name.lower(): _QUOTED.sub(rb"\1", quoted) or plain
                for name, quoted, plain in _PARAMETER.findall(found[1])
            }
            if b"name" in values:
                return Part(values[b"name"].decode("utf-8", "replace"), _filename(values))
    raise BrokenForm("a part without a name")


def _filename(values: dict[bytes, bytes]) -> str | None:
    """``filename*`` (RFC 5987) knows its encoding, so it goes before ``filename``."""
    encoded = values.get(b"filename*", b"").split(b"'", 2)
    if len(encoded) == 3:
        try:
            return unquote_to_bytes(encoded[2]).decode(encoded[0].decode("ascii") or "utf-8")
        except (LookupError, ValueError):
            pass
    plain = values.get(b"filename")
    return None if plain is None else plain.decode("utf-8", "replace")
