"""The first frame of a GIF, told so that libvips reads it as browsers do."""

from __future__ import annotations

_TABLE = 0x80  # a flag: a table of colours follows
_EXTENSION, _FRAME = b"!", b","
_HEAD = 13  # bytes before the global table of colours
_FRAME_HEAD = 10

# Behind the last pixel stands a code that ends the data; a decoder that gets as far as this was
# still missing pixels, and no table has a colour for a code of nothing but ones.
_UNREADABLE = b"\x04\xff\xff\xff\xff\0"
# A frame of one transparent pixel: libvips has transparency only where some frame declares it.
_TRANSPARENT = b"!\xf9\4\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2\x44\1\0;"


def first_frame(data: bytes) -> bytes:
    """A GIF of the first frame of ``data``; ``data`` itself if there is none to be found.

    Canvas that the frame leaves uncovered is transparent in it, where libvips would see black, and
    a frame whose data ends before its pixels do is an error, where libvips would see a whole one.
    """
    try:
        at = _HEAD + _table(data[10])
        while data[at : at + 1] == _EXTENSION:
            at = _end_of_blocks(data, at + 2)
        if data[at : at + 1] != _FRAME:
            return data
        at += _FRAME_HEAD + _table(data[at + _FRAME_HEAD - 1])
        end = _end_of_blocks(data, at + 1) - 1
    except IndexError:
        return data
    return data[:end] + _UNREADABLE + _TRANSPARENT


def _table(flags: int) -> int:
    """The bytes of the table of colours that these flags announce."""
    return 3 * (2 << (flags & 7)) if flags & _TABLE else 0


def _end_of_blocks(data: bytes, at: int) -> int:
    """Where the chain of blocks that begins at ``at`` is over."""
    while size := data[at]:
        at += 1 + size
    return at + 1
