"""Reader of the few EXIF fields that are used, within the bounds of the block."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from mmap import mmap

    Data = bytes | mmap

ORIENTATION, DATE_TIME = 0x0112, 0x0132
DATE_TIME_ORIGINAL, DATE_TIME_DIGITIZED = 0x9003, 0x9004
OFFSET_TIME, OFFSET_TIME_ORIGINAL, OFFSET_TIME_DIGITIZED = 0x9010, 0x9011, 0x9012

_MORE = 0x8769  # where the fields of the photograph are
_BYTE, _ASCII, _SHORT, _LONG = 1, 2, 3, 4
_MOST_ENTRIES = 500
_LONGEST_TEXT = 100  # bytes


def fields(block: Data) -> dict[int, int | str]:
    """Return numbers and texts by tag, of a block with or without its ``Exif`` marker.

    A TIFF file is such a block, too.

    What cannot be read is left out.
    """
    tiff = block[6:] if block[:6] == b"Exif\0\0" else block
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(tiff[:4]))
    if order is None:
        return {}
    found: dict[int, int | str] = {}
    try:
        found.update(_directory(tiff, order, *struct.unpack_from(order + "I", tiff, 4)))
        more = found.get(_MORE)
        if isinstance(more, int):
            found = {**dict(_directory(tiff, order, more)), **found}
    except struct.error:
        pass
    return found


def _directory(tiff: Data, order: str, at: int) -> Iterator[tuple[int, int | str]]:
    """Yield the entries of one directory. Raises struct.error if the block ends early."""
    (count,) = struct.unpack_from(order + "H", tiff, at)
    for entry in range(at + 2, at + 2 + 12 * min(count, _MOST_ENTRIES), 12):
        tag, kind, size = struct.unpack_from(order + "HHI", tiff, entry)
        match kind:
            case 1 | 3 | 4 if size == 1:
                letter = {_BYTE: "B", _SHORT: "H", _LONG: "I"}[kind]
                yield tag, struct.unpack_from(order + letter, tiff, entry + 8)[0]
            case 2:
                start = entry + 8
                if size > 4:
                    (start,) = struct.unpack_from(order + "I", tiff, start)
                text = tiff[start : start + min(size, _LONGEST_TEXT)].partition(b"\0")[0]
                yield tag, text.decode("ascii", "replace")
