"""Parse JSON of clients without blocking other requests.

A parser written in C holds Python's lock until it has done: 24 MB of ``[],`` take it ten seconds,
60 MB of escapes two. So long strings are taken out first, which costs a copy each; what is left has
bounds. All but the smallest bodies are read in a thread.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic_core import from_json

from ocelli.domain.accounts import MEGABYTE
from ocelli.domain.errors import TooLarge

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

INLINE_BYTES = 32 * 1024  # bytes that are read on the event loop: 5 ms at worst
CHUNK_BYTES = MEGABYTE // 4  # bytes that are parsed at once
LONG_STRING_BYTES = 1024  # bytes of a string that is taken out
MAX_VALUES = 100_000
MAX_REST_BYTES = 8 * MEGABYTE
MAX_ESCAPED_BYTES = 4 * MEGABYTE  # bytes of a string with escapes, or beyond ASCII

_SIGNS = (b",", b":", b"[", b"{")
_END = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
# One at a time: several would only wait for Python's lock, and so would the event loop.
_executor = ThreadPoolExecutor(1, thread_name_prefix="json")


async def run_in_thread(text: bytes, read: Callable[[], T]) -> T:
    """What ``read`` makes of ``text``: in a thread, unless that takes a moment only."""
    if len(text) <= INLINE_BYTES:
        return read()
    return await asyncio.get_running_loop().run_in_executor(_executor, read)


def parse(text: bytes) -> Any:
    """Parse JSON. Blocks. Raises ValueError if it is invalid, TooLarge beyond the limits."""
    if len(text) <= CHUNK_BYTES:
        return from_json(text, allow_inf_nan=False)
    reader = _JsonReader(text)
    return reader.value()


class _JsonReader:
    """Parses one text whose long strings are replaced by placeholders."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._placeholder = f"long {uuid.uuid4()} "
        self._long_strings: dict[str, str] = {}
        self._rest: list[bytes] = []
        self._size = self._values = 0

    def value(self) -> Any:
        at = 0
        while at < len(self._text):
            quote = self._skip_to_string(at)
            at = len(self._text) if quote < 0 else self._read_string(quote)
        value = from_json(b"".join(self._rest), allow_inf_nan=False)
        return self._with_long_strings(value) if self._long_strings else value

    def _skip_to_string(self, at: int) -> int:
        """Append the text up to the next string; return its position, -1 if there is none."""
        while at < len(self._text):
            quote = self._text.find(b'"', at, at + CHUNK_BYTES)
            piece = self._text[at : at + CHUNK_BYTES if quote < 0 else quote]
            self._count(sum(map(piece.count, _SIGNS)) if len(piece) > 2 else 1)
            self._append(piece)
            if quote >= 0:
                return quote
            at += CHUNK_BYTES
        return -1

    def _read_string(self, quote: int) -> int:
        """Read the string that starts at ``quote``; return the position after it."""
        end = self._text.find(b'"', quote + 1)
        if end < 0 or self._text.find(b"\\", quote + 1, end) >= 0:
            end = self._end_of_escaped(quote + 1)
        text = self._text[quote + 1 : end]
        if len(text) <= LONG_STRING_BYTES:
            self._append(self._text[quote : end + 1])
        else:
            name = f"{self._placeholder}{len(self._long_strings)}"
            self._long_strings[name] = _decoded(text)
            self._append(f'"{name}"'.encode())
        return end + 1

    def _end_of_escaped(self, at: int) -> int:
        """Return the end of a string with escapes, in chunks: a regex match blocks other
        threads.
        """
        while at < len(self._text):
            match = _END.match(self._text, at, at + CHUNK_BYTES)
            assert match is not None  # it matches nothing at least
            if match.end() < at + CHUNK_BYTES - 1:
                return match.end()
            at = match.end()
        return len(self._text)

    def _count(self, values: int) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            raise TooLarge(
                f"The JSON of the request holds more than {MAX_VALUES:,} values.",
                details={"max_values": MAX_VALUES},
            )

    def _append(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > MAX_REST_BYTES:
            raise TooLarge(
                f"The JSON of the request holds more than {MAX_REST_BYTES // MEGABYTE} MB beside "
                "its long strings.",
                details={"max_bytes": MAX_REST_BYTES},
            )
        self._rest.append(piece)

    def _with_long_strings(self, value: Any) -> Any:
        """Return the value with the long strings in place of their placeholders."""
        if isinstance(value, str):
            return self._long_strings.get(value, value)
        if isinstance(value, list):
            return [self._with_long_strings(each) for each in value]
        if isinstance(value, dict):
            if any(key.startswith(self._placeholder) for key in value):
                raise ValueError(f"a key has more than {LONG_STRING_BYTES} bytes")
            return {key: self._with_long_strings(each) for key, each in value.items()}
        return value


def _decoded(text: bytes) -> str:
    """Return the content of a JSON string; fast if slashes are the only escapes, as in base64."""
    if text.isascii():
        plain = text.replace(b"\\/", b"/")
        if plain.find(b"\\") < 0:
            decoded = plain.decode("ascii")
            if decoded.isprintable():
                return decoded
    if len(text) > MAX_ESCAPED_BYTES:
        raise TooLarge(
            f"A text of the request has more than {MAX_ESCAPED_BYTES // MEGABYTE} MB.",
            details={"max_bytes": MAX_ESCAPED_BYTES},
        )
    value: str = from_json(b'"' + text + b'"')
    return value
