"""JSON that strangers send, read without holding other requests up.

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

SMALL = 32 * 1024  # bytes that are read on the event loop: 5 ms at worst
WHOLE = MEGABYTE // 4  # bytes that are parsed at once
LONG = 1024  # bytes of a string that is taken out
MOST_VALUES = 100_000
MOST_REST = 8 * MEGABYTE
MOST_ESCAPED = 4 * MEGABYTE  # bytes of a string with escapes, or beyond ASCII

_SIGNS = (b",", b":", b"[", b"{")
_END = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
# One at a time: several would only wait for Python's lock, and so would the event loop.
_reading = ThreadPoolExecutor(1, thread_name_prefix="json")


async def apart(text: bytes, read: Callable[[], T]) -> T:
    """What ``read`` makes of ``text``: in a thread, unless that takes a moment only."""
    if len(text) <= SMALL:
        return read()
    return await asyncio.get_running_loop().run_in_executor(_reading, read)


def parse(text: bytes) -> Any:
    """The value. Blocks. Raises ValueError if it is no JSON, TooLarge for too much of anything."""
    if len(text) <= WHOLE:
        return from_json(text)
    reader = _JsonReader(text)
    return reader.value()


class _JsonReader:
    """One text of which the long strings are taken out."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._mark = f"long {uuid.uuid4()} "
        self._long: dict[str, str] = {}
        self._rest: list[bytes] = []
        self._size = self._values = 0

    def value(self) -> Any:
        at = 0
        while at < len(self._text):
            quote = self._outside(at)
            at = len(self._text) if quote < 0 else self._string(quote)
        value = from_json(b"".join(self._rest))
        return self._filled(value) if self._long else value

    def _outside(self, at: int) -> int:
        """Up to the next string, whose position it is; -1 if there is none."""
        while at < len(self._text):
            quote = self._text.find(b'"', at, at + WHOLE)
            piece = self._text[at : at + WHOLE if quote < 0 else quote]
            self._count(sum(map(piece.count, _SIGNS)) if len(piece) > 2 else 1)
            self._keep(piece)
            if quote >= 0:
                return quote
            at += WHOLE
        return -1

    def _string(self, quote: int) -> int:
        """A string from its first quote on; where it ends."""
        end = self._text.find(b'"', quote + 1)
        if end < 0 or self._text.find(b"\\", quote + 1, end) >= 0:
            end = self._after_escapes(quote + 1)
        text = self._text[quote + 1 : end]
        if len(text) <= LONG:
            self._keep(self._text[quote : end + 1])
        else:
            name = f"{self._mark}{len(self._long)}"
            self._long[name] = _decoded(text)
            self._keep(f'"{name}"'.encode())
        return end + 1

    def _after_escapes(self, at: int) -> int:
        """A piece at a time: a regular expression is not interrupted either."""
        while at < len(self._text):
            match = _END.match(self._text, at, at + WHOLE)
            assert match is not None  # it matches nothing at least
            if match.end() < at + WHOLE - 1:
                return match.end()
            at = match.end()
        return len(self._text)

    def _count(self, values: int) -> None:
        self._values += values
        if self._values > MOST_VALUES:
            raise TooLarge(
                f"The JSON of the request holds more than {MOST_VALUES:,} values.",
                details={"max_values": MOST_VALUES},
            )

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > MOST_REST:
            raise TooLarge(
                f"The JSON of the request holds more than {MOST_REST // MEGABYTE} MB beside its "
                "long strings.",
                details={"max_bytes": MOST_REST},
            )
        self._rest.append(piece)

    def _filled(self, value: Any) -> Any:
        """With the long strings in their places again."""
        if isinstance(value, str):
            return self._long.get(value, value)
        if isinstance(value, list):
            return [self._filled(each) for each in value]
        if isinstance(value, dict):
            if any(key.startswith(self._mark) for key in value):
                raise ValueError(f"a key has more than {LONG} bytes")
            return {key: self._filled(each) for key, each in value.items()}
        return value


def _decoded(text: bytes) -> str:
    """The content of a JSON string. Of base64 PHP escapes every slash, and nothing else."""
    if text.isascii():
        plain = text.replace(b"\\/", b"/")
        if plain.find(b"\\") < 0:
            decoded = plain.decode("ascii")
            if decoded.isprintable():
                return decoded
    if len(text) > MOST_ESCAPED:
        raise TooLarge(
            f"A text of the request has more than {MOST_ESCAPED // MEGABYTE} MB.",
            details={"max_bytes": MOST_ESCAPED},
        )
    value: str = from_json(b'"' + text + b'"')
    return value
