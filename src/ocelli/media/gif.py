"""The frames of a GIF, and a rewrite of the first that libvips reads as browsers do."""

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
    """Return width and height in pixels, as libvips does. Raises IndexError and struct.error."""
    screen = width, height = struct.unpack_from("<HH", data, 6)
    x, y, across, down = struct.unpack_from("<HHHH", data, _first(data) + 1)
    if screen in _SCREENS or not all(0 < side <= _LARGEST_SCREEN for side in screen):
        width = height = 1
    return max(width, x + across), max(height, y + down)


def count_frames(data: Data, most: int) -> int:
    """Count the readable frames, up to ``most``."""
    return sum(1 for _ in islice(_frames(data), most))


def _first(data: Data) -> int:
    """Return the position of the first frame. Raises IndexError if there is none."""
    for at in _frames(data):
        return at
    raise IndexError("no frame")


def _frames(data: Data) -> Iterator[int]:
    """Yield the position of each frame, as far as the file can be read."""
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
    """Return a GIF of the first frame of ``data``; ``data`` itself if no frame is found.

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
    """Return the bytes of the colour table that these flags announce."""
    return 3 * (2 << (flags & 7)) if flags & _TABLE else 0


def _end_of_blocks(data: Data, at: int) -> int:
    """Return the position after the chain of blocks that begins at ``at``."""
    while size := data[at]:
        at += 1 + size
    return at + 1
