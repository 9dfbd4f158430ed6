"""The frames of a GIF, and its first one told so that libvips reads it as browsers do."""

from __future__ import annotations

import struct
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from mmap import mmap

    Data = bytes | mmap

_TABLE = 0x80  # a flag: a table of colours follows
_MOST_BLOCKS = 2_000_000  # of up to 255 bytes each

# What some programs write for any picture, and libvips does not believe.
_SCREENS = frozenset({(640, 480), (640, 512), (800, 600), (1024, 768), (1280, 1024), (1600, 1200)})
_LARGEST_SCREEN = 2048
_HEAD = 13  # bytes before the global table of colours
_FRAME_HEAD = 10

# Behind the last pixel stands a code that ends the data; a decoder that gets as far as this was
# still missing pixels, and no table has a colour for a code of nothing but ones.
_UNREADABLE = b"\x04\xff\xff\xff\xff\0"
# A frame of one transparent pixel: libvips has transparency only where some frame declares it.
_TRANSPARENT = b"!\xf9\4\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2\x44\1\0;"


def canvas(data: Data) -> tuple[int, int]:
    """Width and height in pixels, as libvips sees them. Raises IndexError and struct.error."""
    screen = width, height = struct.unpack_from("<HH", data, 6)
    x, y, across, down = struct.unpack_from("<HHHH", data, _first(data) + 1)
    if screen in _SCREENS or not all(0 < side <= _LARGEST_SCREEN for side in screen):
        width = height = 1
    return max(width, x + across), max(height, y + down)


def count_frames(data: Data, most: int) -> int:
    """How many there are in what can be read, up to ``most``."""
    return sum(1 for _ in islice(_frames(data), most))


def _first(data: Data) -> int:
    """Where the first frame begins. Raises IndexError."""
    for at in _frames(data):
        return at
    raise IndexError("no frame")


def _frames(data: Data) -> Iterator[int]:
    """Where each frame begins, as far as the file can be read."""
    at, left = _HEAD + _table(data[10]), _MOST_BLOCKS
    with suppress(IndexError):
        while left > 0:
            match data[at : at + 1]:
                case b",":
                    yield at
                    at += _FRAME_HEAD + _table(data[at + _FRAME_HEAD - 1]) + 1
                case b"!":
                    at += 2
                case _:
                    return
            while (size := data[at]) and left > 0:
                at, left = at + 1 + size, left - 1
            at += 1


def first_frame(data: bytes) -> bytes:
    """A GIF of the first frame of ``data``; ``data`` itself if there is none to be found.

    Canvas that the frame leaves uncovered is transparent in it, where libvips would see black, and
    a frame whose data ends before its pixels do is an error, where libvips would see a whole one.
    """
    try:
        at = _first(data)
        at += _FRAME_HEAD + _table(data[at + _FRAME_HEAD - 1])
        end = _end_of_blocks(data, at + 1) - 1
    except IndexError:
        return data
    return data[:end] + _UNREADABLE + _TRANSPARENT


def _table(flags: int) -> int:
    """The bytes of the table of colours that these flags announce."""
    return 3 * (2 << (flags & 7)) if flags & _TABLE else 0


def _end_of_blocks(data: Data, at: int) -> int:
    """Where the chain of blocks that begins at ``at`` is over."""
    while size := data[at]:
        at += 1 + size
    return at + 1
