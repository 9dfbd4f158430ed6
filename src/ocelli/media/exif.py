"""Reader of the few EXIF fields that are used, within the bounds of the block."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from mmap import mmap

    Data = bytes | mmap

ORIENTATION, DATE_TIME = 0x0112, 0x0132
DATE_TIME_ORIGINAL, DATE_TIME_DIGITIZED = 0x9003, 0x9004
OFFSET_TIME, OFFSET_TIME_ORIGINAL, OFFSET_TIME_DIGITIZED = 0x9010, 0x9011, 0x9012

_MORE = 0x8769  # where the fields of the photograph are
_GPS = 0x8825  # where those of the place are, with tags of their own:
_LATITUDE_REF, _LATITUDE, _LONGITUDE_REF, _LONGITUDE, _STATUS = 1, 2, 3, 4, 9
_BYTE, _ASCII, _SHORT, _LONG, _RATIONAL = 1, 2, 3, 4, 5
_MOST_ENTRIES = 500
_LONGEST_TEXT = 100  # bytes


def fields(block: Data) -> dict[int, int | str]:
    """Return numbers and texts by tag, of a block with or without its ``Exif`` marker.

    A TIFF file is such a block, too.

    What cannot be read is left out.
    """
    tiff, order = _tiff(block)
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


def position(block: Data, fields: Mapping[int, int | str]) -> tuple[float, float] | None:
    """Return latitude and longitude in degrees of a block and its ``fields``.

    None if they are missing, incomplete, impossible or marked as void; 0, 0 too, which cameras
    write that do not know where they are.
    """
    tiff, order = _tiff(block)
    at = fields.get(_GPS)
    if order is None or not isinstance(at, int):
        return None
    try:
        place = dict(_directory(tiff, order, at))
        angles = dict(_angles(tiff, order, at))
    except struct.error:
        return None
    latitude = _degrees(angles.get(_LATITUDE), place.get(_LATITUDE_REF), "NS", 90)
    longitude = _degrees(angles.get(_LONGITUDE), place.get(_LONGITUDE_REF), "EW", 180)
    void = str(place.get(_STATUS, "")).upper() == "V"
    if void or latitude is None or longitude is None or latitude == longitude == 0:
        return None
    return latitude, longitude


def _degrees(
    angle: tuple[int, ...] | None, hemisphere: int | str | None, signs: str, limit: int
) -> float | None:
    """Return degrees, minutes and seconds, each a fraction, as signed degrees."""
    side = str(hemisphere).strip().upper()
    if angle is None or len(side) != 1 or side not in signs or 0 in angle[1::2]:
        return None
    degrees, minutes, seconds = (
        numerator / denominator
        for numerator, denominator in zip(angle[::2], angle[1::2], strict=True)
    )
    value = degrees + minutes / 60 + seconds / 3600
    if minutes > 60 or seconds > 60 or value > limit:
        return None
    return round(-value if side == signs[1] else value, 7)  # a centimetre


def _tiff(block: Data) -> tuple[Data, str | None]:
    """Return the block without its marker, and its order of bytes; None if it is no TIFF."""
    tiff = block[6:] if block[:6] == b"Exif\0\0" else block
    return tiff, {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(tiff[:4]))


def _angles(tiff: Data, order: str, at: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield the entries of three fractions: numerators and denominators."""
    (count,) = struct.unpack_from(order + "H", tiff, at)
    for entry in range(at + 2, at + 2 + 12 * min(count, _MOST_ENTRIES), 12):
        tag, kind, size, start = struct.unpack_from(order + "HHII", tiff, entry)
        if (kind, size) == (_RATIONAL, 3):
            yield tag, struct.unpack_from(order + "6I", tiff, start)


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
