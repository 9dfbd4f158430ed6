"""Incremental parser of multipart forms (RFC 2046, RFC 7578). No I/O, no copies of files.

It accepts what clients send: blanks after a boundary, lines that end in a bare line feed, text
before the first boundary.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from ocelli.api.dispositions import header_params, parse_headers

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_HEAD_BYTES = 16 * 1024  # headers of one part, and what stands before the first
_MAX_PADDING = 1024  # blanks behind a boundary
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_CR = 13


class BrokenForm(ValueError):
    """The body is not a valid multipart form."""


class Target(Protocol):
    """The receiver of a part's content."""

    def write(self, data: memoryview) -> None:
        """Take the next bytes; the memory is reused, so they must be copied to be kept."""
        ...

    def finish(self) -> None:
        """Take note that the part is complete."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """The headers of a part."""

    name: str
    filename: str | None = None
    content_type: str | None = None


def boundary_of(content_type: str) -> bytes:
    """Return the boundary of a Content-Type. Raises BrokenForm.

    >>> boundary_of("multipart/form-data; boundary=abc")
    b'abc'
    """
    kind, params = header_params(parse_headers(f"Content-Type: {content_type}"), "content-type")
    boundary = params.get("boundary", "").encode("latin-1", "replace")
    if kind != "multipart/form-data" or not 0 < len(boundary) <= 200:
        raise BrokenForm(content_type)
    return boundary


@lru_cache(maxsize=256)  # the fields of forms have the same heads again and again
def _part(head: bytes) -> Part:
    try:
        text = head.decode()
    except UnicodeDecodeError:
        text = head.decode("latin-1")
    headers = parse_headers(text)
    kind, params = header_params(headers, "content-disposition")
    if kind != "form-data" or "name" not in params:
        raise BrokenForm("a part without a name")
    content_type, _ = header_params(headers, "content-type")
    return Part(params["name"], params.get("filename"), content_type or None)


class FormParser:
    """Parses one body. ``begin`` returns the target of a part; None to skip it."""

    def __init__(self, boundary: bytes, begin: Callable[[Part], Target | None]) -> None:
        self._begin = begin
        self._opening = b"--" + boundary
        self._delimiter = re.compile(
            rb"\n%s(--|[ \t]{0,%d}\r?\n)" % (re.escape(self._opening), _MAX_PADDING)
        )
        self._target: Target | None = None
        self._before = 0  # bytes before the first boundary
        self._pending = b"\n"  # what cannot be told apart yet; a boundary may be the first line
        self._state = self._preamble

    @property
    def is_within_part(self) -> bool:
        """Whether a part that has a target is not yet complete."""
        return self._target is not None

    def feed(self, data: bytes) -> None:
        """Parse the next bytes. Raises BrokenForm, and what a target raises."""
        data, self._pending = self._pending + data, b""
        at = 0
        while at < len(data):
            at = self._state(data, at)

    # Each takes data from ``at`` on, and says how far it came; what it keeps for later is _rest.

    def _preamble(self, data: bytes, at: int) -> int:
        end = self._content(data, at)
        self._before += end - at - len(self._pending)
        if self._before > MAX_HEAD_BYTES:
            raise BrokenForm("no boundary at the beginning")
        return end

    def _head(self, data: bytes, at: int) -> int:
        if data.startswith((b"\n", b"\r\n"), at):
            raise BrokenForm("a part without headers")
        blank = _BLANK_LINE.search(data, at)
        if (blank.end() if blank else len(data)) - at > MAX_HEAD_BYTES:
            raise BrokenForm("the headers of a part are too long")
        if blank is None:
            self._pending = data[at:]
            return len(data)
        self._target = self._begin(_part(data[at : blank.start()]))
        self._state = self._content
        return blank.end()

    def _content(self, data: bytes, at: int) -> int:
        delimiter = self._delimiter.search(data, at)
        if delimiter is None:
            end = self._end_of_content(data, at)
            self._write(data, at, end)
            self._pending = data[end:]
            return len(data)
        end = delimiter.start()
        if end > at and data[end - 1] == _CR:
            end -= 1
        self._write(data, at, end)
        if self._target is not None:
            self._target.finish()
            self._target = None
        self._state = self._epilogue if delimiter[1] == b"--" else self._head
        return delimiter.end()

    def _epilogue(self, data: bytes, at: int) -> int:
        del at
        return len(data)

    def _write(self, data: bytes, at: int, end: int) -> None:
        if self._target is not None and end > at:
            self._target.write(memoryview(data)[at:end])

    def _end_of_content(self, data: bytes, at: int) -> int:
        """Return where a possible delimiter begins at the end of ``data``; else the end."""
        start = data.rfind(b"\n", max(at, len(data) - len(self._opening) - _MAX_PADDING - 2))
        if start < 0 or not self._can_be_delimiter(data[start + 1 :]):
            start = len(data)
        if start > at and data[start - 1] == _CR:
            start -= 1
        return start

    def _can_be_delimiter(self, line: bytes) -> bool:
        if len(line) <= len(self._opening):
            return self._opening.startswith(line)
        padding = line.removeprefix(self._opening)
        return len(padding) < len(line) and (padding == b"-" or not padding.strip(b" \t\r"))
