"""What a picture says about itself, read without decoding it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

from ocelli.domain.errors import ValidationFailed
from ocelli.domain.images import ImageFormat, ImageHeader
from ocelli.media._vips import field, open_source, vips
from ocelli.media.sniff import HEAD_BYTES, sniff

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo
    from pathlib import Path

    import pyvips

# EXIF: 2024:05:17 13:45:00, and its offset, apart: +02:00. Many write it in other ways.
_MOMENT = re.compile(
    r"\s*(\d{4})[:/.-](\d\d?)[:/.-](\d\d?)[ T]+(\d\d?):(\d\d)(?::(\d\d))?(?:[.,]\d+)?"
)
_OFFSET = re.compile(r"\s*(?:([+-]\d\d?):?(\d\d)?|([Zz]))")
# When it was taken; when it was made digital; when the file was changed; with their offsets.
_TIMES = (
    ("exif-ifd2-DateTimeOriginal", "exif-ifd2-OffsetTimeOriginal"),
    ("exif-ifd2-DateTimeDigitized", "exif-ifd2-OffsetTimeDigitized"),
    ("exif-ifd0-DateTime", "exif-ifd2-OffsetTime"),
)

_PNG = b"\x89PNG\r\n\x1a\n"
_LONGEST_KEYWORD = 79  # bytes
_FARTHEST = timedelta(hours=16)  # what Postgres calls a time zone is nearer
MOST_TEXTS = 10  # compressed ones
MOST_CHUNKS = 1000  # before the pixels


def read_header(source: Path | bytes, *, max_pixels: int) -> ImageHeader:
    """Format, upright size and time of a picture, in about a millisecond whatever its size.

    ``taken_at`` is EXIF's DateTimeOriginal, else DateTimeDigitized, else DateTime, with the offset
    that is in it or beside it. Cameras often write none: the time is then taken as UTC, for want of
    anything better. Unreadable EXIF is ignored.

    Raises ValidationFailed (field ``file``) if the content is no supported picture, its header
    cannot be read, it has more than ``max_pixels``, or texts that unpack to very much: nothing may
    decode it then. The picture data itself is not looked at; it can still be truncated.
    """
    if isinstance(source, bytes):
        format = sniff(source[:HEAD_BYTES])
        if format is ImageFormat.PNG:
            _check_texts(lambda at, size: source[at : at + size])
        return _read(vips().Source.new_from_memory(source), format, max_pixels)
    with source.open("rb", buffering=0) as file:  # libvips reads on from where the descriptor is
        format = sniff(file.read(HEAD_BYTES))
        if format is ImageFormat.PNG:
            _check_texts(lambda at, size: (file.seek(at), file.read(size))[1])
        file.seek(0)
        return _read(vips().Source.new_from_descriptor(file.fileno()), format, max_pixels)


def _read(source: pyvips.Source, format: ImageFormat, max_pixels: int) -> ImageHeader:
    try:
        image = open_source(source, format)
    except (vips().Error, UnicodeDecodeError) as error:
        raise ValidationFailed(
            f"The file begins like a {format.name} picture, but its header cannot be read: it is "
            "damaged or incomplete. Export the picture again and upload the new file.",
            field="file",
            issue="unreadable header",
        ) from error
    width, height = image.width, image.height
    _check_pixels(width, height, max_pixels)
    if field(image, "orientation") in {5, 6, 7, 8}:  # it lies on its side
        width, height = height, width
    return ImageHeader(format, width, height, _taken_at(image))


def _check_texts(read: Callable[[int, int], bytes]) -> None:
    """Compressed texts are unpacked before they are asked for: eight kilobytes make eight
    megabytes, and then twice that. A few are metadata, many are a bomb.
    """
    if _compressed_texts(read) > MOST_TEXTS:
        raise ValidationFailed(
            "The PNG carries more texts than pictures do. Export it again without metadata.",
            field="file",
            issue="too much metadata",
        )


def _compressed_texts(read: Callable[[int, int], bytes]) -> int:
    """How many the PNG has before its pixels. ``read`` answers so many bytes from somewhere."""
    found = 0
    at = len(_PNG)
    for _ in range(MOST_CHUNKS):
        head = read(at, 8 + _LONGEST_KEYWORD + 2)
        kind, said = head[4:8], head[8:]
        if len(head) < 8 or kind == b"IDAT":
            return found
        flag = said.partition(b"\0")[2][:1]  # of an iTXt, behind its keyword: whether it is
        found += kind == b"zTXt" or (kind == b"iTXt" and flag != b"\0")
        at += 12 + int.from_bytes(head[:4], "big")
    return MOST_TEXTS + 1  # nobody's picture


def _check_pixels(width: int, height: int, max_pixels: int) -> None:
    """Of an animation only the first frame is ever decoded, so only that counts."""
    pixels = width * height
    if pixels <= max_pixels:
        return
    raise ValidationFailed(
        f"The picture has {pixels:,} pixels ({width:,} × {height:,}), more than the limit of "
        f"{max_pixels:,}. Make it smaller and upload it again.",
        field="file",
        issue="too many pixels",
    )


def _taken_at(image: pyvips.Image) -> datetime | None:
    """The first of its times that can be read; its own offset, or that of another one."""
    texts = [(str(field(image, time)), str(field(image, offset))) for time, offset in _TIMES]
    others = [offset for _, offset in texts]
    times = (_moment(time, (offset, *others)) for time, offset in texts)
    return next((time for time in times if time is not None), None)


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
