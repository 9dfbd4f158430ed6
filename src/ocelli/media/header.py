"""Read the header of a picture, without decoding it."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta, timezone
from mmap import ACCESS_READ, mmap
from typing import TYPE_CHECKING

from ocelli.domain.accounts import MEGABYTE
from ocelli.domain.errors import ValidationFailed
from ocelli.domain.images import Coordinates, ImageHeader
from ocelli.media import exif, memory
from ocelli.media.probe import Unreadable, probe
from ocelli.media.sniff import HEAD_BYTES, sniff

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo
    from pathlib import Path

# EXIF: 2024:05:17 13:45:00, and its offset, apart: +02:00. Many write it in other ways.
_MOMENT = re.compile(
    r"\s*(\d{4})[:/.-](\d\d?)[:/.-](\d\d?)[ T]+(\d\d?):(\d\d)(?::(\d\d))?(?:[.,]\d+)?"
)
_OFFSET = re.compile(r"\s*(?:([+-]\d\d?):?(\d\d)?|([Zz]))")
# When it was taken; when it was made digital; when the file was changed; with their offsets.
_TIMES = (
    (exif.DATE_TIME_ORIGINAL, exif.OFFSET_TIME_ORIGINAL),
    (exif.DATE_TIME_DIGITIZED, exif.OFFSET_TIME_DIGITIZED),
    (exif.DATE_TIME, exif.OFFSET_TIME),
)

_FARTHEST = timedelta(hours=16)  # what Postgres calls a time zone is nearer


def read_header(source: Path | bytes, *, max_pixels: int) -> ImageHeader:
    """Return format, upright size and time of a picture, in about a millisecond.

    ``taken_at`` is EXIF's DateTimeOriginal, else DateTimeDigitized, else DateTime, with the offset
    that is in it or beside it. Cameras often write none: the time is then taken as UTC, for want of
    anything better. ``taken_where`` is its GPS position. Unreadable EXIF is ignored.

    No decoder sees the file. Raises ValidationFailed (field ``file``) if the content is no
    supported picture, its header cannot be read, it has more than ``max_pixels``, frames, scans
    or texts than may be, or decoding it takes too much memory: nothing may decode it then. The
    pixels themselves are not looked at.
    """
    if isinstance(source, bytes):
        return _read(source, max_pixels)
    with source.open("rb", buffering=0) as file:
        if not os.fstat(file.fileno()).st_size:  # cannot be mapped
            return _read(b"", max_pixels)
        with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            return _read(data, max_pixels)


def _read(data: bytes | mmap, max_pixels: int) -> ImageHeader:
    format = sniff(data[:HEAD_BYTES])
    try:
        found = probe(data, format)
    except Unreadable as error:
        raise ValidationFailed(
            f"The file begins like a {format.name} picture, but its header cannot be read: it is "
            "damaged or incomplete. Export the picture again and upload the new file.",
            field="file",
            issue="unreadable header",
        ) from error
    width, height = found.width, found.height
    _check_pixels(width, height, max_pixels)
    fields = exif.fields(found.exif)
    if not found.is_upright and fields.get(exif.ORIENTATION) in {5, 6, 7, 8}:  # it lies on its side
        width, height = height, width
    header = ImageHeader(
        format,
        width,
        height,
        _taken_at(fields),
        _taken_where(found.exif, fields),
        found.whole,
        found.row,
    )
    _check_memory(header, max_pixels)
    return header


def _check_pixels(width: int, height: int, max_pixels: int) -> None:
    """Check the number of pixels; of an animation that of one frame, as only that is decoded."""
    pixels = width * height
    if pixels <= max_pixels:
        return
    raise ValidationFailed(
        f"The picture has {pixels:,} pixels ({width:,} × {height:,}), more than the limit of "
        f"{max_pixels:,}. Make it smaller and upload it again.",
        field="file",
        issue="too many pixels",
    )


def _check_memory(header: ImageHeader, max_pixels: int) -> None:
    """Check the memory for decoding; progressive, interlaced and animated ones need the most."""
    needed = memory.needed(header, memory.SMALL)
    if needed > memory.allowed(max_pixels):
        raise ValidationFailed(
            f"Decoding this {header.format.name} picture takes about {needed // MEGABYTE} MB of "
            f"memory, more than the limit of {memory.allowed(max_pixels) // MEGABYTE} MB. Save it "
            "neither progressive nor interlaced, or smaller, and upload it again.",
            field="file",
            issue="too much memory",
        )


def _taken_at(fields: Mapping[int, int | str]) -> datetime | None:
    """Return the first valid time, with its own time zone, or that of another one."""
    texts = [(str(fields.get(time)), str(fields.get(offset))) for time, offset in _TIMES]
    others = [offset for _, offset in texts]
    times = (_moment(time, (offset, *others)) for time, offset in texts)
    return next((time for time in times if time is not None), None)


def _taken_where(block: bytes | mmap, fields: Mapping[int, int | str]) -> Coordinates | None:
    found = exif.position(block, fields)
    return None if found is None else Coordinates(*found)


def _moment(text: str, offsets: tuple[str, ...]) -> datetime | None:
    found = _MOMENT.match(text)
    if found is None:
        return None
    try:
        naive = datetime(*(int(part or 0) for part in found.groups()))  # type: ignore[arg-type]
    except ValueError:  # 0000:00:00 00:00:00, the clock that was never set
        return None
    if not 1 < naive.year < 9999:  # elsewhere it may be a year that there is not
        return None
    zones = (_zone(offset) for offset in (text[found.end() :], *offsets))
    return naive.replace(tzinfo=next((zone for zone in zones if zone is not None), UTC))


def _zone(text: str) -> tzinfo | None:
    found = _OFFSET.match(text)
    if found is None:
        return None
    hours, minutes, zulu = found.groups()
    if zulu:
        return UTC
    away = timedelta(hours=int(hours), minutes=int(hours[0] + (minutes or "0")))
    return timezone(away) if abs(away) < _FARTHEST else None
