"""Decode files in base64 within a text, incrementally."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pybase64

from ocelli.api.multipart import FilePart
from ocelli.domain.errors import MalformedRequest
from ocelli.media.blob_writer import BlobFactory
from ocelli.media.data_url import declares_base64

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST_HEAD = 1024  # `data:image/png;base64,`
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_BLANK = b" \t\r\n\f\v"
# Looking for each is ten times as fast as translating, and and either blocks all other requests.
_UNUSUAL = tuple(bytes([each]) for each in b"-_" + _BLANK)


class Base64File(FilePart):
    """A file that is received as base64.

    Any or no declared type, line breaks, the URL alphabet, missing padding.
    """

    def __init__(self, new_blob: BlobFactory, *, max_bytes: int) -> None:
        super().__init__(new_blob(max_bytes=max_bytes))
        self._head: bytes | None = b""
        self._rest = b""
        self._ended = False

    def write(self, data: bytes | memoryview) -> None:
        """Decode the next part of the text. Blocks on the disk: call it from a thread."""
        self._attempt(self._take, bytes(data))

    def finish(self) -> None:
        """That was all of it."""
        if self._head is not None:
            head, self._head = self._head, None
            self.write(head)
        self._attempt(self._take_rest)
        super().finish()

    def _attempt(self, step: Callable[..., None], *arguments: bytes) -> None:
        if self.error is not None:
            return
        try:
            step(*arguments)
        except ValueError:
            self.error = MalformedRequest("The file is not base64.", field="file")

    def _take_rest(self) -> None:
        if not (self._rest or self.staged.size):
            raise ValueError("nothing at all")
        if self._rest:
            self._decode(self._rest + b"=" * (-len(self._rest) % 4))

    def _take(self, text: bytes) -> None:
        if self._head is not None:
            text = self._without_head(text)
        if any(each in text for each in _UNUSUAL):
            text = text.translate(_TO_STANDARD, _BLANK)
        if b"=" in text:
            text, _, padding = text.partition(b"=")
            if padding.strip(b"=") or (self._ended and text):
                raise ValueError("something after the padding")
            text, ended = text, True
        else:
            ended = self._ended
            if ended and text:
                raise ValueError("something after the padding")
        self._ended = ended
        text = self._rest + text
        whole = len(text) // 4 * 4
        self._rest = text[whole:]
        if whole:
            self._decode(text[:whole])

    def _decode(self, text: bytes) -> None:
        """Decode complete groups of four characters."""
        super().write(pybase64.b64decode(text, validate=True))

    def _without_head(self, text: bytes) -> bytes:
        """Buffer the beginning until it is known whether it is a data URI."""
        assert self._head is not None
        head = (self._head + text).lstrip(_BLANK)
        if not b"data:".startswith(head[:5].lower()):
            self._head = None
            return head
        comma = head.find(b",", 0, _LONGEST_HEAD)
        if comma >= 0:
            if not declares_base64(head[:comma].decode("latin-1")):
                raise ValueError("a data URI of another encoding")
            self._head = None
            return head[comma + 1 :]
        if len(head) > _LONGEST_HEAD:
            raise ValueError("no comma in a data URI")
        self._head = head
        return b""


class JsonText:
    """Splits a JSON document while it is received: long strings are decoded as base64 files.

    ``rest`` is the document with a token of ours in the place of each, which ``files`` knows.
    So a body of 270 MB needs as much memory as what is small in it. Blocks; call from a thread.
    """

    LONG = 64 * 1024
    MAX_REST = 8 * 1024 * 1024

    def __init__(self, new_blob: BlobFactory, token: str, *, max_bytes: int) -> None:
        self.files: dict[str, FilePart] = {}
        self.rest = bytearray()
        self._new_blob = new_blob
        self._token = token
        self._max_bytes = max_bytes
        self._in_string = False
        self._string = bytearray()
        self._file: Base64File | None = None
        self._carried = b""
        self._half = b""

    def close(self) -> None:
        """Remove the files that no store has taken over."""
        for file in self.files.values():
            file.staged.__exit__()

    def feed(self, data: bytes) -> None:
        """Parse the next bytes. Raises MalformedRequest for too much text outside of files."""
        data = self._carried + data if self._carried else data
        self._carried = b""
        at = 0
        while at < len(data):
            at = self._within(data, at) if self._in_string else self._outside(data, at)
        if len(self.rest) > self.MAX_REST:
            raise MalformedRequest("Invalid request format.", field="body")

    def _outside(self, data: bytes, at: int) -> int:
        quote = data.find(b'"', at)
        if quote < 0:
            self.rest += data[at:]
            return len(data)
        self.rest += data[at : quote + 1]
        self._in_string = True
        return quote + 1

    def _within(self, data: bytes, at: int) -> int:
        end = _end_of_string(data, at)
        self._content(data[at:end])
        if end == len(data) or data[end] != _QUOTE:  # goes on, perhaps with half an escape
            self._carried = data[end:]
            return len(data)
        self._end_string()
        return end + 1

    def _content(self, text: bytes) -> None:
        if self._file is None:
            self._string += text
            if len(self._string) <= self.LONG:
                return
            self._file = Base64File(self._new_blob, max_bytes=self._max_bytes)
            self.files[f"{self._token}{len(self.files)}"] = self._file
            text = bytes(self._string)
            self._string.clear()
        text = self._half + text
        half = _HALF_ESCAPE.search(text, max(0, len(text) - 5))
        self._half = half[0] if half else b""
        self._file.write(_unescaped(text[: len(text) - len(self._half)]))

    def _end_string(self) -> None:
        if self._file is not None:
            self._file.finish()
            self._file, self._half = None, b""
            self.rest += next(reversed(self.files)).encode()
        else:
            self.rest += self._string
            self._string.clear()
        self.rest += b'"'
        self._in_string = False


_QUOTE = ord('"')
_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_HALF_ESCAPE = re.compile(rb"\\u[0-9a-fA-F]{0,3}\Z")
_ESCAPE = re.compile(rb"\\(?:u00([0-9a-fA-F]{2})|([nrtf]))")


def _end_of_string(data: bytes, at: int) -> int:
    """Its quote; without one the end, or half an escape there. Most have no escapes: that is ten
    times as fast, and no other request runs meanwhile."""
    quote = data.find(b'"', at)
    end = len(data) if quote < 0 else quote
    if data.find(b"\\", at, end) < 0:
        return end
    match = _STRING.match(data, at)
    assert match is not None  # it matches nothing at least
    return match.end()


def _unescaped(text: bytes) -> bytes:
    """What base64 may have in it: PHP escapes every ``/``, others write ``+`` as ``\\u002b``."""
    if b"\\" not in text:
        return text
    return _ESCAPE.sub(
        lambda found: bytes([int(found[1], 16)]) if found[1] else b"",
        text.replace(b"\\/", b"/"),
    )
