"""Captions and keywords in EXIF and IPTC-IIM: what a person wrote into a picture that has no XMP.

Read of JPEG, PNG, WebP, TIFF, HEIC and AVIF, by seeking, within bounds; what cannot be read is left
out. Nothing is written there.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO

from ocelli.media import heif
from ocelli.xmp.errors import XmpError, reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Read = Callable[[int, int], bytes]  # from where, and how many bytes

MOST_PARTS = 5_000  # segments, chunks, entries or data sets
LONGEST = 256 * 1024  # bytes of a value, or of all that Photoshop keeps in a JPEG
MAX_HEIF = 64 * 1024 * 1024  # bytes of a file that is held in memory

_EXIF, _PHOTOSHOP, _IPTC = "exif", "photoshop", "iptc"
_IMAGE_DESCRIPTION, _MORE, _USER_COMMENT = 0x010E, 0x8769, 0x9286
_IPTC_IN_TIFF, _PHOTOSHOP_IN_TIFF = 33723, 34377
_XP_TITLE, _XP_COMMENT, _XP_KEYWORDS = 0x9C9B, 0x9C9C, 0x9C9E
_WIDTHS = {1: 1, 2: 1, 4: 4, 7: 1}  # bytes of a value, by its type
_CHARSET, _KEYWORD, _HEADLINE, _CAPTION = (1, 90), (2, 25), (2, 105), (2, 120)
_IPTC_RESOURCE = 0x0404
_RAW_PROFILE = b"Raw profile type "
# What cameras and programs write by themselves, and what is no text.
_OF_NO_PERSON = re.compile(
    r"[\W_]*"
    r"|.*\bDIGITAL CAMERA"
    r"|SONY DSC|SAMSUNG( CAMERA PICTURES)?|<Digimax.*>|MINOLTA.*|KODAK.*CAMERA|Exif_JPEG_PICTURE"
    r"|DCIM\\.*|default|User comments|Screenshot|Created (by|with) \S+|oplus_\d+|METADATA-START"
    r"|(IMG|DSC|DSCN|DSCF|DJI|MVIMG|PXL)_?\d+(_\d+)*(\.jpe?g)?",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class OlderWords:
    """Captions, comments, titles and headlines as one; and keywords. Without what cameras write."""

    captions: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()


def read_older(path: Path) -> OlderWords:
    """Return what a person wrote into a picture, but in XMP. Raises XmpError if it is gone."""
    captions: list[str] = []
    keywords: list[str] = []
    try:
        with path.open("rb") as file:
            for kind, read in _blocks(file):
                for is_keyword, text in _words(kind, read):
                    (keywords if is_keyword else captions).append(text.strip())
    except OSError as error:
        raise XmpError(reason(error)) from error
    except (struct.error, ValueError, LookupError, zlib.error):  # damaged: what was found counts
        pass
    said = (each for each in captions if not _OF_NO_PERSON.fullmatch(each))
    return OlderWords(tuple(dict.fromkeys(said)), tuple(dict.fromkeys(filter(None, keywords))))


# Where it is


def _blocks(file: BinaryIO) -> Iterator[tuple[str, Read]]:
    """Yield the blocks of EXIF, Photoshop and IPTC in a file."""

    def read(at: int, size: int) -> bytes:
        file.seek(at)
        return file.read(size)

    head = read(0, 12)
    if head.startswith(b"\xff\xd8"):
        yield from _in_jpeg(read)
    elif head.startswith(b"\x89PNG"):
        yield from _in_png(read)
    elif head.startswith(b"RIFF") and head[8:] == b"WEBP":
        for kind, at, size in _chunks(read, 12, "<4sI"):
            if kind == b"EXIF":
                yield _EXIF, _within(read(at, min(size, LONGEST)).removeprefix(b"Exif\0\0"))
    elif head.startswith((b"II*\0", b"MM\0*")):
        yield _EXIF, read
    elif head[4:8] == b"ftyp":
        data = read(0, MAX_HEIF + 1)
        if len(data) <= MAX_HEIF:
            yield _EXIF, _within(heif.exif(data).removeprefix(b"Exif\0\0"))


def _within(block: bytes) -> Read:
    return lambda at, size: block[at : at + size]


def _in_jpeg(read: Read) -> Iterator[tuple[str, Read]]:
    at, resources = 2, b""
    for _ in range(MOST_PARTS):
        mark, marker, size = struct.unpack(">BBH", read(at, 4).ljust(4, b"\0"))
        if mark != 0xFF or marker in (0xDA, 0xD9):
            break
        if marker == 0xFF:  # a filling byte
            at += 1
            continue
        body = at + 4
        if marker == 0xE1 and (block := read(body, size - 2)).startswith(b"Exif\0\0"):
            yield _EXIF, _within(block[6:])
        elif marker == 0xED and (block := read(body, size - 2)).startswith(b"Photoshop 3.0\0"):
            resources = (resources + block[14:])[:LONGEST]
        at = body + max(0, size - 2)
    yield _PHOTOSHOP, _within(resources)


def _in_png(read: Read) -> Iterator[tuple[str, Read]]:
    for kind, at, size in _chunks(read, 8, ">I4s"):
        if kind == b"eXIf":
            yield _EXIF, _within(read(at, min(size, LONGEST)).removeprefix(b"Exif\0\0"))
        elif kind in (b"tEXt", b"zTXt"):
            body = read(at, min(size, 3 * LONGEST))
            text = body.partition(b"\0")[2]
            if body.startswith(_RAW_PROFILE):
                yield _raw_profile(_unpacked(text[1:]) if kind == b"zTXt" else text)


def _unpacked(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data, 3 * LONGEST)


def _raw_profile(text: bytes) -> tuple[str, Read]:
    """Return a block as ImageMagick and Exiv2 write it: in hexadecimal, behind a line each for
    name and length.
    """
    block = bytes.fromhex(text.lstrip().split(b"\n", 2)[2].decode("ascii"))
    if block.startswith(b"Exif\0\0"):
        return _EXIF, _within(block[6:])
    return (_PHOTOSHOP if block.startswith(b"8BIM") else _IPTC), _within(block)


def _chunks(read: Read, at: int, form: str) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, position and size of the parts of a PNG or WebP."""
    is_png = form.startswith(">")
    for _ in range(MOST_PARTS):
        head = read(at, 8)
        if len(head) < 8:
            return
        one, other = struct.unpack(form, head)
        kind, size = (other, one) if is_png else (one, other)
        yield kind, at + 8, size
        at += 8 + size + (4 if is_png else size % 2)


# What it says


def _words(kind: str, read: Read) -> Iterator[tuple[bool, str]]:
    """Yield the texts of a block: whether it is a keyword, and the text."""
    if kind == _EXIF:
        yield from _of_exif(read)
    elif kind == _PHOTOSHOP:
        yield from _of_photoshop(read(0, LONGEST))
    else:
        yield from _of_iptc(read(0, LONGEST))


def _of_exif(read: Read) -> Iterator[tuple[bool, str]]:
    head = read(0, 8)
    order = {b"II*\0": "<", b"MM\0*": ">"}[head[:4]]
    (at,) = struct.unpack(order + "I", head[4:])
    found = dict(_directory(read, order, at))
    if _MORE in found:
        (more,) = struct.unpack(order + "I", found[_MORE])
        found = {**dict(_directory(read, order, more)), **found}
    if _IMAGE_DESCRIPTION in found:
        yield False, _text(found[_IMAGE_DESCRIPTION])
    for tag in (_XP_TITLE, _XP_COMMENT):
        if tag in found:
            yield False, _utf16(found[tag], "<")
    if _USER_COMMENT in found:
        yield False, _comment(found[_USER_COMMENT], order)
    for keyword in _utf16(found.get(_XP_KEYWORDS, b""), "<").split(";"):
        yield True, keyword
    if _IPTC_IN_TIFF in found:
        yield from _of_iptc(found[_IPTC_IN_TIFF])
    if _PHOTOSHOP_IN_TIFF in found:
        yield from _of_photoshop(found[_PHOTOSHOP_IN_TIFF])


def _directory(read: Read, order: str, at: int) -> Iterator[tuple[int, bytes]]:
    """Yield the values of a directory that have bytes, texts or numbers of four bytes."""
    (count,) = struct.unpack(order + "H", read(at, 2))
    table = read(at + 2, 12 * min(count, MOST_PARTS))
    for tag, kind, number, value in islice(struct.iter_unpack(order + "HHI4s", table), MOST_PARTS):
        size = number * _WIDTHS.get(kind, 0)
        if not size or tag not in _WANTED:
            continue
        if size > 4:
            value = read(struct.unpack(order + "I", value)[0], min(size, LONGEST))
        yield tag, value[:size]


_WANTED = frozenset(
    (
        *(_IMAGE_DESCRIPTION, _MORE, _USER_COMMENT, _IPTC_IN_TIFF, _PHOTOSHOP_IN_TIFF),
        *(_XP_TITLE, _XP_COMMENT, _XP_KEYWORDS),
    )
)


def _of_photoshop(block: bytes) -> Iterator[tuple[bool, str]]:
    """Yield what is in the IPTC among Photoshop's resources, which each have a name and a size."""
    at = 0
    while block[at : at + 4] == b"8BIM":
        (number,) = struct.unpack_from(">H", block, at + 4)
        at += 6 + (block[at + 6] + 2) // 2 * 2
        (size,) = struct.unpack_from(">I", block, at)
        if number == _IPTC_RESOURCE:
            yield from _of_iptc(block[at + 4 : at + 4 + size])
        at += 4 + (size + 1) // 2 * 2


def _of_iptc(block: bytes) -> Iterator[tuple[bool, str]]:
    """Yield captions, headlines and keywords; without a named character set as in EXIF."""
    is_utf8, at = False, 0
    for _ in range(MOST_PARTS):
        if at + 5 > len(block) or block[at] != 0x1C:
            return
        data_set = block[at + 1], block[at + 2]
        (size,) = struct.unpack_from(">H", block, at + 3)
        at += 5
        if size & 0x8000:  # the length of the length
            wide = size & 0x7FFF
            size, at = int.from_bytes(block[at : at + min(wide, 4)], "big"), at + wide
        value = block[at : at + size]
        at += size
        if data_set == _CHARSET:
            is_utf8 = value == b"\x1b%G"
        elif data_set in (_CAPTION, _HEADLINE, _KEYWORD):
            text = value.decode("utf-8", "replace") if is_utf8 else _text(value)
            yield data_set == _KEYWORD, text.strip("\0")


def _text(value: bytes) -> str:
    """Return a text in UTF-8, else in Latin-1: programs write either, and do not say which."""
    value = value.partition(b"\0")[0]
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _utf16(value: bytes, order: str) -> str:
    name = "utf-16-le" if order == "<" else "utf-16-be"
    return value.decode(name, "ignore").partition("\0")[0]


def _comment(value: bytes, order: str) -> str:
    """Return a UserComment: its first eight bytes name the encoding. Empty for another one."""
    match value[:8]:
        case b"ASCII\0\0\0":
            return _text(value[8:])
        case b"UNICODE\0":
            has_mark = {b"\xff\xfe": "<", b"\xfe\xff": ">"}.get(value[8:10])
            return _utf16(value[10 if has_mark else 8 :], has_mark or order)
    return ""
