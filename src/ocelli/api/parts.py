"""Take a multipart body apart while it arrives (RFC 2046, RFC 7578). No I/O, no copies of files.

python-multipart finds boundaries and headers; here its events become parts with targets.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LONGEST_HEAD = 16 * 1024  # headers of one part


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
    kind, options = _options(content_type.encode("latin-1", "replace"))
    boundary = options.get(b"boundary", b"")
    if kind.lower() != b"multipart/form-data" or not 0 < len(boundary) <= 200:
        raise BrokenForm(content_type)
    return boundary


@lru_cache(maxsize=256)  # the fields of forms have the same names again and again
def _options(header: bytes | None) -> tuple[bytes, Mapping[bytes, bytes]]:
    return parse_options_header(header)


class Parts:
    """One body. ``begin`` says where a part goes; None: nowhere."""

    def __init__(self, boundary: bytes, begin: Callable[[Part], Target | None]) -> None:
        self._begin = begin
        self._opening = b"--" + boundary
        self._before: bytes | None = b""  # what came before the first boundary; None once it came
        self._target: Target | None = None
        self._head: dict[bytes, bytes] = {}
        self._head_size = 0
        self._field = self._value = b""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begin,
                "on_part_data": self._part_data,
                "on_part_end": self._part_end,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
            },
        )

    def feed(self, data: bytes) -> None:
        """The next bytes. Raises BrokenForm, and whatever a target raises."""
        if self._before is not None:
            data = self._after_preamble(self._before + data)
        if data:
            try:
                self._parser.write(data)
            except MultipartParseError as error:
                raise BrokenForm(str(error)) from error

    def _after_preamble(self, data: bytes) -> bytes:
        """From the first boundary on: the parser knows no text before it, the standard does."""
        at = data.find(self._opening)
        while at > 0 and data[at - 1] != 10:  # it begins a line
            at = data.find(self._opening, at + 1)
        if at < 0:
            if len(data) > LONGEST_HEAD + len(self._opening):
                raise BrokenForm("no boundary at the beginning")
            self._before = data
            return b""
        self._before = None
        return data[at:]

    def _part_begin(self) -> None:
        self._head, self._head_size = {}, 0
        self._field = self._value = b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._grow(end - start)
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._grow(end - start)
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._head[self._field.lower()] = self._value
        self._field = self._value = b""

    def _grow(self, size: int) -> None:
        self._head_size += size
        if self._head_size > LONGEST_HEAD:
            raise BrokenForm("the headers of a part are too long")

    def _headers_finished(self) -> None:
        kind, options = _options(self._head.get(b"content-disposition"))
        if kind.lower() != b"form-data" or b"name" not in options:
            raise BrokenForm("a part without a name")
        filename = options.get(b"filename")
        self._target = self._begin(
            Part(
                options[b"name"].decode("utf-8", "replace"),
                None if filename is None else filename.decode("utf-8", "replace"),
            )
        )

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._target is not None:
            self._target.write(memoryview(data)[start:end])

    def _part_end(self) -> None:
        if self._target is not None:
            self._target.finish()
            self._target = None
