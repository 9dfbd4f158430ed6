"""The structure of HEIC and AVIF files (ISO 23008-12): size, turns, EXIF and cost of the picture.

A linear walk over the boxes that say it. What the pictures' own codecs say is not looked at: the
process that decodes is held to what was estimated here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from mmap import mmap

    Data = bytes | mmap

MOST_BOXES = 1_000  # of the file, and within another box
MOST_ITEMS = 4_000  # a picture of 1,000 megapixels in tiles of 512 x 512
MOST_PROPERTIES = 10_000
LONGEST_META = 2 * 1024 * 1024  # bytes
LONGEST_EXIF = 1024 * 1024

HEVC, AV1 = frozenset({b"hvc1", b"hev1"}), frozenset({b"av01"})
_GRID, _EXIF = b"grid", b"Exif"
_IN_FILE, _IN_IDAT = 0, 1


class Unsupported(ValueError):
    """The file is sound, but of a kind that is not read; says which."""


@dataclass(frozen=True, slots=True)
class Heif:
    """``width`` × ``height`` upright pixels; ``depth`` bits a sample; ``tile`` pixels of a tile,
    all of the picture where there are none.
    """

    width: int
    height: int
    depth: int
    tile: int
    has_alpha: bool
    exif: bytes


@dataclass(slots=True)
class _Meta:
    """What the ``meta`` box says: items by id, and their properties in order."""

    primary: int = 0
    types: dict[int, bytes] = field(default_factory=dict)
    places: dict[int, tuple[int, int, int]] = field(default_factory=dict)  # method, offset, length
    tiles: dict[int, list[int]] = field(default_factory=dict)
    alphas: set[int] = field(default_factory=set)  # items that another item is auxiliary to
    properties: list[tuple[bytes, bytes]] = field(default_factory=list)
    belongs: dict[int, list[int]] = field(default_factory=dict)  # item → indices of properties
    idat: bytes = b""

    def of(self, item: int) -> list[tuple[bytes, bytes]]:
        """Return the properties of an item, in the order in which they are applied."""
        indices = self.belongs.get(item, ())
        return [self.properties[n - 1] for n in indices if 0 < n <= len(self.properties)]


def boxes(data: Data, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the boxes between ``at`` and ``end``: type, and where their content begins and ends.

    Raises ValueError for a box that does not fit, struct.error for half a box.
    """
    for _ in range(MOST_BOXES):
        if at >= end:
            return
        size, kind = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, start)
            start += 8
        stop = end if size == 0 else at + size
        if not start <= stop <= end:
            raise ValueError("a box that does not fit")
        yield kind, start, stop
        at = stop
    raise ValueError("boxes without an end")


def structure(data: Data, codec: frozenset[bytes]) -> Heif:
    """Return the structure of a file whose picture is of this codec.

    Raises Unsupported, and ValueError, LookupError or struct.error if it is damaged.
    """
    meta = _read_meta(data)
    _check_end(meta, len(data))
    kind = meta.types[meta.primary]
    width, height, depth = _size(meta, meta.primary)
    tile = width * height
    if kind == _GRID:
        tile, depth = _grid(data, meta, codec, width, height)
    elif kind not in codec:
        raise Unsupported(f"a HEIF file of the kind {kind.decode('latin-1')!r}")
    width, height = _turned(meta, width, height)
    return Heif(width, height, depth, tile, meta.primary in meta.alphas, _exif(data, meta))


def exif(data: Data) -> bytes:
    """Return the EXIF of a file, without what its item has before it; nothing if it has none.

    Raises ValueError, LookupError or struct.error if the file is damaged.
    """
    return _exif(data, _read_meta(data))


def _check_end(meta: _Meta, end: int) -> None:
    """Raise ValueError if the file ends before the picture, or one of its tiles, does."""
    for item in (meta.primary, *meta.tiles.get(meta.primary, ())):
        method, offset, length = meta.places.get(item, (_IN_IDAT, 0, 0))
        if method == _IN_FILE and offset + length > end:
            raise ValueError("the file ends before the picture does")


def _read_meta(data: Data) -> _Meta:
    for kind, start, stop in boxes(data, 0, len(data)):
        if kind == b"meta":
            if stop - start > LONGEST_META:
                raise ValueError("very much metadata")
            return _meta(bytes(data[start + 4 : stop]))
    raise ValueError("no description of what is in it")


def _meta(block: bytes) -> _Meta:
    meta = _Meta()
    readers = {
        b"pitm": _pitm, b"iinf": _iinf, b"iloc": _iloc, b"iref": _iref, b"iprp": _iprp,
    }  # fmt: skip
    for kind, start, stop in boxes(block, 0, len(block)):
        if kind in readers:
            readers[kind](meta, block[start:stop])
        elif kind == b"idat":
            meta.idat = block[start:stop]
    return meta


def _pitm(meta: _Meta, box: bytes) -> None:
    (meta.primary,) = struct.unpack_from(">H" if box[0] == 0 else ">I", box, 4)


def _iinf(meta: _Meta, box: bytes) -> None:
    at = 6 if box[0] == 0 else 8
    for kind, start, stop in _entries(box, at):
        if kind != b"infe":
            continue
        entry = box[start:stop]
        if entry[0] < 2:
            raise ValueError("items of an old kind")
        id_form, type_at = (">H", 8) if entry[0] == 2 else (">I", 10)
        (item,) = struct.unpack_from(id_form, entry, 4)
        meta.types[item] = entry[type_at : type_at + 4]


def _entries(box: bytes, at: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the boxes of a list of items, of which there may be many."""
    for number in range(MOST_ITEMS + 1):
        found = next(boxes(box, at, len(box)), None)
        if found is None:
            return
        if number == MOST_ITEMS:
            raise ValueError("too many items")
        yield found
        at = found[2]


def _iloc(meta: _Meta, box: bytes) -> None:
    version, (sizes, bases) = box[0], box[4:6]
    forms = [_form(each) for each in (sizes >> 4, sizes & 15, bases >> 4)]
    index = _form(bases & 15) if version in (1, 2) else 0
    reader = _Reader(box, 6)
    count = reader.take(4 if version == 2 else 2)
    if count > MOST_ITEMS:
        raise ValueError("too many items")
    for _ in range(count):
        item = reader.take(4 if version == 2 else 2)
        method = reader.take(2) & 15 if version in (1, 2) else _IN_FILE
        reader.take(2)
        base = reader.take(forms[2])
        extents = reader.take(2)
        if extents:
            reader.take(index)
            offset, length = reader.take(forms[0]), reader.take(forms[1])
            meta.places[item] = (method, base + offset, length)
            # Not one by one: numbers without a width make any number of extents out of nothing.
            reader.skip((extents - 1) * (index + forms[0] + forms[1]))


def _form(size: int) -> int:
    if size not in (0, 4, 8):
        raise ValueError("numbers of a strange width")
    return size


class _Reader:
    """Big-endian numbers, one after the other."""

    def __init__(self, block: bytes, at: int) -> None:
        self._block = block
        self._at = at

    def take(self, size: int) -> int:
        """Return the next number of ``size`` bytes; 0 for none. Raises ValueError at the end."""
        part = self._block[self._at : self._at + size]
        if len(part) < size:
            raise ValueError("half a number")
        self._at += size
        return int.from_bytes(part, "big")

    def skip(self, size: int) -> None:
        """Go on ``size`` bytes further."""
        self._at += size


def _iref(meta: _Meta, box: bytes) -> None:
    width = 2 if box[0] == 0 else 4
    for kind, start, stop in _entries(box, 4):
        reader = _Reader(box[start:stop], 0)
        item, count = reader.take(width), reader.take(2)
        if count > MOST_ITEMS:
            raise ValueError("too many items")
        others = [reader.take(width) for _ in range(count)]
        if kind == b"dimg":
            meta.tiles[item] = others
        elif kind == b"auxl":
            meta.alphas.update(others)


def _iprp(meta: _Meta, box: bytes) -> None:
    for kind, start, stop in boxes(box, 0, len(box)):
        if kind == b"ipco":
            at = start
            while at < stop:
                name, begin, at = next(boxes(box, at, stop))
                meta.properties.append((name, box[begin:at]))
                if len(meta.properties) > MOST_PROPERTIES:
                    raise ValueError("too many properties")
        elif kind == b"ipma":
            _ipma(meta, box[start:stop])


def _ipma(meta: _Meta, box: bytes) -> None:
    wide = box[3] & 1
    reader = _Reader(box, 4)
    count = reader.take(4)
    if count > MOST_ITEMS:
        raise ValueError("too many items")
    for _ in range(count):
        item = reader.take(2 if box[0] == 0 else 4)
        indices = [reader.take(2 if wide else 1) for _ in range(reader.take(1))]
        meta.belongs[item] = [each & (0x7FFF if wide else 0x7F) for each in indices]


def _size(meta: _Meta, item: int) -> tuple[int, int, int]:
    """Return width, height and depth of an item, as stored."""
    size: tuple[int, int] | None = None
    depth = 8
    for kind, box in meta.of(item):
        match kind:
            case b"ispe":
                size = struct.unpack_from(">II", box, 4)
            case b"hvcC":
                depth = max(depth, 8 + (box[17] & 7), 8 + (box[18] & 7))
            case b"av1C" if box[2] & 0x40:
                depth = 12 if box[2] & 0x20 else 10
            case b"pixi":
                depth = max(depth, *box[5 : 5 + box[4]], 8)
    if size is None or not all(0 < side < 1 << 31 for side in size):
        raise ValueError("no size")
    return *size, depth


def _grid(
    data: Data, meta: _Meta, codec: frozenset[bytes], width: int, height: int
) -> tuple[int, int]:
    """Return the pixels of a tile and the depth. Raises ValueError for tiles that do not cover."""
    content = _content(data, meta, meta.primary, 16)
    rows, columns = content[2] + 1, content[3] + 1
    said = struct.unpack_from(">II" if content[1] & 1 else ">HH", content, 4)
    tiles = meta.tiles[meta.primary]
    if len(tiles) != rows * columns or said != (width, height):
        raise ValueError("a grid that does not fit")
    if any(meta.types.get(tile) not in codec for tile in tiles):
        raise Unsupported("a HEIF file whose tiles are of another kind")
    sizes = {_size(meta, tile) for tile in tiles}
    tile_width, tile_height, depth = next(iter(sizes))
    if len(sizes) > 1 or tile_width * columns < width or tile_height * rows < height:
        raise ValueError("tiles that do not fit")
    if tile_width * columns > width + tile_width or tile_height * rows > height + tile_height:
        raise ValueError("tiles far beyond the picture")
    return tile_width * tile_height, depth


def _turned(meta: _Meta, width: int, height: int) -> tuple[int, int]:
    """Return the size after cropping and turning. EXIF's orientation does not count here."""
    for kind, box in meta.of(meta.primary):
        if kind == b"clap":
            across, by, down, by_down = struct.unpack_from(">IIII", box)
            width = min(width, across // by) if by else width
            height = min(height, down // by_down) if by_down else height
        elif kind == b"irot" and box[0] & 1:
            width, height = height, width
    if not (width and height):
        raise ValueError("no size")
    return width, height


def _exif(data: Data, meta: _Meta) -> bytes:
    """Return the EXIF, without what its item has before it; nothing if it cannot be read."""
    for item, kind in islice(meta.types.items(), MOST_ITEMS):
        if kind == _EXIF and item in meta.places:
            content = _content(data, meta, item, LONGEST_EXIF)
            if len(content) < 4:
                return b""
            return content[4 + int.from_bytes(content[:4], "big") :]
    return b""


def _content(data: Data, meta: _Meta, item: int, most: int) -> bytes:
    """Return the beginning of what an item holds, where that is in one piece."""
    method, offset, length = meta.places[item]
    source = meta.idat if method == _IN_IDAT else data
    return bytes(source[offset : offset + min(length or most, most)])
