"""Read size, frames and needs of decoding from the structure of a file, before any decoder.

Plain walks over the structure of each format, linear in what they look at and bounded in it:
decoders are quadratic in places, and take memory by what a header says.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING

from ocelli.domain.errors import ValidationFailed
from ocelli.domain.images import ImageFormat
from ocelli.media import bmp, gif, heif, jpeg, tiff

if TYPE_CHECKING:
    from mmap import mmap

    Data = bytes | mmap

MOST_FRAMES = 5_000
MOST_SCANS = 100  # of a JPEG that comes in several; ours of photographs have about ten
MOST_TEXTS = 10  # of a PNG, compressed: each is unpacked, up to 8 MB, before it is asked for
MOST_PARTS = 1_000  # chunks or segments before the picture

_PNG = b"\x89PNG\r\n\x1a\n"
_LONGEST_KEYWORD = 79  # bytes
_CHANNELS = {0: 1, 2: 3, 3: 4, 4: 2, 6: 4}  # by the colour type of a PNG; a palette is unpacked
_DEPTHS = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}
_LOSSY, _LOSSLESS, _ANIMATED = 5, 9, 16  # bytes for each pixel of a WebP
_HEIC, _HEIC_TILE = 5, 3  # bytes for each pixel, of the picture and of a tile
_AVIF, _AVIF_TILE = 6, 6
_DEEP = 1.5  # times as much with more than 8 bits
_BASELINE, _EXTENDED, _PROGRESSIVE, _ARITHMETIC = 0xC0, 0xC1, {0xC2, 0xCA}, {0xC9, 0xCA}
_DECODABLE = {_BASELINE, _EXTENDED} | _PROGRESSIVE | _ARITHMETIC


class Unreadable(ValueError):
    """The structure of the file is damaged, or it ends too early."""


@dataclass(frozen=True, slots=True)
class Probe:
    """``width`` × ``height`` pixels as stored; if ``is_upright`` EXIF's orientation does not count.

    ``whole`` are the bytes that the decoder holds of the whole picture at a time, ``row`` those of
    one row of pixels.
    """

    width: int
    height: int
    whole: int
    row: int
    exif: Data = b""
    is_upright: bool = False


def probe(data: Data, format: ImageFormat) -> Probe:
    """Probe a file. Raises Unreadable, and ValidationFailed (field ``file``) beyond the limits."""
    try:
        return _PROBES[format](data)
    except (bmp.Unsupported, heif.Unsupported, tiff.Unsupported) as error:
        raise _refused(
            f"The file is {error}, which is not supported. Convert it to JPEG or PNG and upload it "
            "again.",
            f"unsupported content: {error}",
        ) from error
    except Unreadable:
        raise
    except (LookupError, OverflowError, ValueError, struct.error) as error:
        raise Unreadable from error


def _jpeg(data: Data) -> Probe:
    frame = exif = None
    for marker, at, body in islice(jpeg.segments(data), MOST_PARTS):
        if marker in jpeg.FRAMES and frame is None:
            frame = marker, body
        elif marker == jpeg.EXIF and exif is None and body.startswith(b"Exif\0\0"):
            exif = body
        elif marker == jpeg.SCAN and frame is not None:
            return _scans(data, at, *frame, body[0], exif or b"")
    raise Unreadable


def _scans(data: Data, at: int, kind: int, frame: bytes, first: int, exif: bytes) -> Probe:
    precision, height, width, count = struct.unpack_from(">BHHB", frame)
    samplings = [divmod(frame[7 + 3 * n], 16) for n in range(count)]
    known = kind in _DECODABLE and precision == 8
    if not known or not (width and height and count) or not all(all(s) for s in samplings):
        raise Unreadable
    whole = 0
    if kind in _PROGRESSIVE or first < count:  # every coefficient is held until the last scan
        if jpeg.count_scans(data, at, MOST_SCANS + 1) > MOST_SCANS:
            raise _refused(
                f"The JPEG comes in more than {MOST_SCANS} scans. Save it again, not progressive.",
                "too many scans",
            )
        across, down = (max(each) for each in zip(*samplings, strict=True))
        blocks = (
            _up(-(-width * h // (8 * across)), h) * _up(-(-height * v // (8 * down)), v)
            for h, v in samplings
        )
        whole = sum(blocks) * 64 * 2
    return Probe(width, height, whole, width * count, exif)


def _up(size: int, step: int) -> int:
    return -(-size // step) * step


def _png(data: Data) -> Probe:
    size, kind = struct.unpack_from(">I4s", data, len(_PNG))
    head = data[len(_PNG) + 4 : len(_PNG) + 21]
    (checksum,) = struct.unpack_from(">I", data, len(_PNG) + 21)
    if (size, kind) != (13, b"IHDR") or zlib.crc32(head) != checksum:
        raise Unreadable
    width, height, depth, color, _, _, interlace = struct.unpack_from(">IIBBBBB", head, 4)
    if not (0 < width < 1 << 31 and 0 < height < 1 << 31 and depth in _DEPTHS.get(color, ())):
        raise Unreadable
    exif = _before_pixels(data)
    row = width * (_CHANNELS[color] + (color in (0, 2))) * (2 if depth == 16 else 1)
    return Probe(width, height, row * height if interlace else 0, row, exif)


def _before_pixels(data: Data) -> bytes:
    """Return the EXIF of a PNG; checks all chunks before the pixels."""
    texts, exif, at = 0, b"", len(_PNG)
    for _ in range(MOST_PARTS):
        size, kind = struct.unpack_from(">I4s", data, at)
        body = at + 8
        match kind:
            case b"IDAT":
                return exif
            case b"zTXt":
                texts += 1
            case b"iTXt":  # behind its keyword a flag: whether it is compressed
                said = data[body : body + _LONGEST_KEYWORD + 2]
                texts += said.partition(b"\0")[2][:1] != b"\0"
            case b"acTL":
                _check_frames(struct.unpack_from(">I", data, body)[0])
            case b"eXIf":
                exif = data[body : body + size]
        if texts > MOST_TEXTS:
            break
        at = body + size + 4
    raise _refused(
        "The PNG carries more texts than pictures do. Export it again without metadata.",
        "too much metadata",
    )


def _webp(data: Data) -> Probe:
    kind, at = data[12:16], 20
    if kind == b"VP8 ":
        if data[at + 3 : at + 6] != b"\x9d\1\x2a":
            raise Unreadable
        width, height = (size & 0x3FFF for size in struct.unpack_from("<HH", data, at + 6))
        return _webp_of(width, height, _LOSSY)
    if kind == b"VP8L":
        mark, bits = struct.unpack_from("<BI", data, at)
        if mark != 0x2F:
            raise Unreadable
        return _webp_of((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, _LOSSLESS)
    if kind != b"VP8X":
        raise Unreadable
    width, height = (1 + int.from_bytes(data[at + n : at + n + 3], "little") for n in (4, 7))
    return _extended(data, width, height)


def _extended(data: Data, width: int, height: int) -> Probe:
    """Probe a WebP, over all chunks: metadata may come last."""
    at, frames, others, exif, each = 30, 0, 0, b"", _LOSSLESS
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        if kind == b"ANMF":
            frames += 1
            _check_frames(frames)
        else:
            others += 1
        if kind == b"EXIF":
            exif = data[at + 8 : at + 8 + size]
        if kind == b"VP8 ":
            each = _LOSSY
        if others > MOST_PARTS:
            raise Unreadable
        at += 8 + size + (size & 1)
    return _webp_of(width, height, _ANIMATED if frames else each, exif)


def _webp_of(width: int, height: int, each: int, exif: bytes = b"") -> Probe:
    """``each``: bytes for one pixel, measured."""
    if not (width and height):
        raise Unreadable
    return Probe(width, height, width * height * each, width * 4, exif)


def _gif(data: Data) -> Probe:
    width, height = gif.canvas(data)
    if not (width and height):
        raise Unreadable
    _check_frames(gif.count_frames(data, MOST_FRAMES + 1))
    return Probe(width, height, width * height * 6, width * 4)


def _bmp(data: Data) -> Probe:
    found = bmp.structure(data)
    if len(data) < found.end:
        raise Unreadable
    row = found.width * found.channels
    return Probe(found.width, found.height, row * found.height, row)


def _tiff(data: Data) -> Probe:
    found = tiff.structure(data)
    return Probe(found.width, found.height, found.piece * 2, found.row, data)


def _heic(data: Data) -> Probe:
    if find_spec("pi_heif") is None:
        raise heif.Unsupported("a HEIC image, and pi-heif is not installed here")
    return _heif(heif.structure(data, heif.HEVC), _HEIC, _HEIC_TILE)


def _avif(data: Data) -> Probe:
    return _heif(heif.structure(data, heif.AV1), _AVIF, _AVIF_TILE)


def _heif(found: heif.Heif, each: int, tile: int) -> Probe:
    """``each`` and ``tile``: bytes for a pixel of the picture, and of a tile, measured."""
    deep = _DEEP if found.depth > 8 else 1
    whole = found.width * found.height * (each + found.has_alpha) + found.tile * tile
    row = found.width * 4 * (2 if found.depth > 8 else 1)
    return Probe(found.width, found.height, round(whole * deep), row, found.exif, is_upright=True)


_PROBES = {
    ImageFormat.JPEG: _jpeg,
    ImageFormat.PNG: _png,
    ImageFormat.WEBP: _webp,
    ImageFormat.GIF: _gif,
    ImageFormat.HEIC: _heic,
    ImageFormat.AVIF: _avif,
    ImageFormat.TIFF: _tiff,
    ImageFormat.BMP: _bmp,
}


def _check_frames(count: int) -> None:
    if count > MOST_FRAMES:
        raise _refused(
            f"The animation has more than {MOST_FRAMES:,} frames. Upload its first picture alone.",
            "too many frames",
        )


def _refused(message: str, issue: str) -> ValidationFailed:
    return ValidationFailed(message, field="file", issue=issue)
