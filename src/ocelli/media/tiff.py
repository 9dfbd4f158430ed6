"""The structure of TIFF files: what the first picture needs, and how many there are.

Classic TIFF and BigTIFF. A walk along the chain of directories, bounded, and not in circles.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmap import mmap

    Data = bytes | mmap

MOST_PAGES = 1_000
MOST_ENTRIES = 4_096  # of a directory
MOST_PIECES = 2_000_000  # strips or tiles

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_OFFSETS, _SAMPLES, _ROWS, _SIZES, _PLANAR = 273, 277, 278, 279, 284
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_SIZES = 322, 323, 324, 325
_SAMPLE_FORMAT, _DNG = 339, 50706
_LETTERS = {1: "B", 3: "H", 4: "I", 16: "Q"}  # by the type of a value
_ORDERS = {b"II": "<", b"MM": ">"}
# None, CCITT, LZW, JPEG, Deflate (both), PackBits. Old JPEG is what cameras write for their own.
_COMPRESSIONS = {1, 2, 3, 4, 5, 7, 8, 32773, 32946}
_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _PALETTE, _MASK, _CMYK, _YCBCR, _LAB = 0, 1, 2, 3, 4, 5, 6, 8
_PHOTOMETRICS = {_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _PALETTE, _CMYK, _YCBCR, _LAB}
_UNSIGNED = 1


class Unsupported(ValueError):
    """The file is sound, but of a kind that is not read; says which."""


@dataclass(frozen=True, slots=True)
class Tiff:
    """The first picture: ``piece`` are the bytes of one strip, or of one row of tiles, unpacked."""

    width: int
    height: int
    row: int
    piece: int
    pages: int


@dataclass(frozen=True, slots=True)
class _Layout:
    """How numbers are stored: byte order, and how wide counts and offsets are."""

    order: str
    big: bool

    @property
    def offset(self) -> str:
        return self.order + ("Q" if self.big else "I")

    @property
    def width(self) -> int:
        return 8 if self.big else 4

    @property
    def entry(self) -> int:
        return 20 if self.big else 12


def structure(data: Data) -> Tiff:
    """Return the structure. Raises Unsupported, and ValueError or struct.error if damaged."""
    order = _ORDERS[bytes(data[:2])]
    (version,) = struct.unpack_from(order + "H", data, 2)
    layout = _Layout(order, version == 43)
    if layout.big and struct.unpack_from(order + "HH", data, 4) != (8, 0):
        raise ValueError("offsets of another width")
    (first,) = struct.unpack_from(layout.offset, data, 8 if layout.big else 4)
    tags, following = _directory(data, layout, first)
    _check_end(tags, len(data))
    pages = _pages(data, layout, first, following)
    return _picture(tags, pages)


def _directory(data: Data, layout: _Layout, at: int) -> tuple[dict[int, tuple[int, ...]], int]:
    """Return the numbers of a directory by tag, and where the next one is.

    Of an array they are the first value, the number of values, and the last one; of ``_BITS`` all.
    """
    count_letter = "Q" if layout.big else "H"
    (count,) = struct.unpack_from(layout.order + count_letter, data, at)
    if not 0 < count <= MOST_ENTRIES or not at:
        raise ValueError("a directory of no sane size")
    start = at + (8 if layout.big else 2)
    found: dict[int, tuple[int, ...]] = {}
    for entry in range(start, start + count * layout.entry, layout.entry):
        tag, kind = struct.unpack_from(layout.order + "HH", data, entry)
        (size,) = struct.unpack_from(layout.offset, data, entry + 4)
        letter = _LETTERS.get(kind)
        if letter is None or not size:
            continue
        value_at = entry + 4 + layout.width
        if struct.calcsize(letter) * size > layout.width:
            (value_at,) = struct.unpack_from(layout.offset, data, value_at)
        if tag == _BITS:  # of each sample
            values = struct.unpack_from(f"{layout.order}{min(size, 8)}{letter}", data, value_at)
            found[tag] = values
        else:
            last_at = value_at + struct.calcsize(letter) * (size - 1)
            (first,) = struct.unpack_from(layout.order + letter, data, value_at)
            (last,) = struct.unpack_from(layout.order + letter, data, last_at)
            found[tag] = (first, size, last)
    (following,) = struct.unpack_from(layout.offset, data, start + count * layout.entry)
    return found, following


def _pages(data: Data, layout: _Layout, first: int, at: int) -> int:
    """Count the directories. Raises ValueError for a chain that bites its tail."""
    seen = {first}
    while at:
        if at in seen or len(seen) > MOST_PAGES:
            raise ValueError("the directories go in a circle, or have no end")
        seen.add(at)
        count_letter = "Q" if layout.big else "H"
        (count,) = struct.unpack_from(layout.order + count_letter, data, at)
        if count > MOST_ENTRIES:
            raise ValueError("a directory of no sane size")
        at += (8 if layout.big else 2) + count * layout.entry
        (at,) = struct.unpack_from(layout.offset, data, at)
    return len(seen)


def _check_end(tags: dict[int, tuple[int, ...]], end: int) -> None:
    """Raise ValueError if the file ends before the last strip or tile does."""
    for offsets, sizes in ((_OFFSETS, _SIZES), (_TILE_OFFSETS, _TILE_SIZES)):
        if offsets in tags and sizes in tags and tags[offsets][2] + tags[sizes][2] > end:
            raise ValueError("the file ends before the picture does")


def _picture(tags: dict[int, tuple[int, ...]], pages: int) -> Tiff:
    def number(tag: int, default: int = 0) -> int:
        return tags.get(tag, (default,))[0]

    width, height, samples = number(_WIDTH), number(_HEIGHT), number(_SAMPLES, 1)
    if _DNG in tags or number(_SUBFILE) & 1:
        raise Unsupported("a camera raw image")
    _check_kind(tags, number(_COMPRESSION, 1), number(_PHOTOMETRIC, _MIN_IS_BLACK))
    if not (0 < width < 1 << 31 and 0 < height < 1 << 31 and 1 <= samples <= 8):
        raise ValueError("no size")
    wide = max(tags.get(_BITS, (1,))) // 8 or 1
    # Palettes, YCbCr and single bits are unpacked to three bytes, or one.
    row = width * max(samples, 3) * wide
    piece = _piece(tags, width, height, samples if number(_PLANAR, 1) == 1 else 1) * wide
    return Tiff(width, height, row, piece, pages)


def _check_kind(tags: dict[int, tuple[int, ...]], compression: int, photometric: int) -> None:
    bits = tags.get(_BITS, (1,))
    if compression not in _COMPRESSIONS:
        raise Unsupported("a TIFF with a rare compression, or a camera raw image")
    if photometric not in _PHOTOMETRICS:
        raise Unsupported("a TIFF of a rare kind, or a camera raw image")
    if tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))[0] != _UNSIGNED or not set(bits) <= {1, 2, 4, 8, 16}:
        raise Unsupported("a TIFF of measurements, not of colours")
    if len(set(bits)) > 1:
        raise Unsupported("a TIFF whose colours differ in depth")


def _piece(tags: dict[int, tuple[int, ...]], width: int, height: int, samples: int) -> int:
    """Return the samples of one strip, or of one row of tiles. Raises ValueError if some lack."""
    if _TILE_OFFSETS in tags:
        tile_width, tile_height = tags[_TILE_WIDTH][0], tags[_TILE_HEIGHT][0]
        if not (tile_width and tile_height):
            raise ValueError("tiles without a size")
        across, down = -(-width // tile_width), -(-height // tile_height)
        needed, given = across * down, tags[_TILE_OFFSETS][1]
        piece = (across + 1) * tile_width * tile_height * samples
    else:
        rows = min(tags.get(_ROWS, (height,))[0] or height, height)
        needed, given = -(-height // rows), tags[_OFFSETS][1]
        piece = rows * width * max(samples, 3)
    if given < needed or given > MOST_PIECES:
        raise ValueError("strips or tiles are missing, or far too many")
    return piece
