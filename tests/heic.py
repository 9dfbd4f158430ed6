"""HEIC files as phones write them, from pictures: HEVC by PyAV's encoder, boxes by hand."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
import numpy as np

_VPS, _SPS, _PPS = 32, 33, 34


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


@dataclass
class Item:
    """One item: its type, content and properties, the last of which may be shared."""

    kind: bytes
    content: bytes
    properties: list[bytes] = field(default_factory=list)
    tiles: list[int] = field(default_factory=list)


def hevc(pixels: Any, *, deep: bool = False) -> tuple[bytes, bytes]:
    """One picture (height, width, 3) as HEVC: its ``hvcC`` box, and its slices with lengths."""
    height, width, _ = pixels.shape
    codec = av.CodecContext.create("libx265", "w")
    codec.width, codec.height = width, height
    codec.pix_fmt = "yuv444p10le" if deep else "yuv444p"
    codec.time_base = Fraction(1, 25)
    codec.options = {
        "preset": "ultrafast",
        "x265-params": "log-level=none:keyint=1:qp=1:range=full:colormatrix=bt709",
    }
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    frame = frame.reformat(format=codec.pix_fmt, dst_colorspace="ITU709", dst_color_range="JPEG")
    stream = b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])
    units = [unit.rstrip(b"\0") for unit in stream.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")]
    by_kind: dict[int, list[bytes]] = {}
    for unit in filter(None, units):
        by_kind.setdefault(unit[0] >> 1 & 63, []).append(unit)
    arrays = b"".join(
        struct.pack(">BHH", 0x80 | kind, 1, len(by_kind[kind][0])) + by_kind[kind][0]
        for kind in (_VPS, _SPS, _PPS)
    )
    sps = by_kind[_SPS][0].replace(b"\0\0\3", b"\0\0")
    bits = 2 if deep else 0
    config = (
        b"\1"
        + sps[3:15]
        + struct.pack(">HBBBBHBB", 0xF000, 0xFC, 0xFC | 3, 0xF8 | bits, 0xF8 | bits, 0, 0x0F, 3)
    )
    slices = [unit for kind, several in by_kind.items() if kind < 32 for unit in several]
    return box(b"hvcC", config, arrays), b"".join(
        struct.pack(">I", len(unit)) + unit for unit in slices
    )


def ispe(width: int, height: int) -> bytes:
    return full(b"ispe", 0, 0, struct.pack(">II", width, height))


def irot(quarters: int) -> bytes:
    """Counter-clockwise turns by 90 degrees."""
    return box(b"irot", bytes([quarters]))


def imir(axis: int) -> bytes:
    return box(b"imir", bytes([axis]))


def nclx() -> bytes:
    """Full range, as the pictures are encoded."""
    return box(b"colr", b"nclx", struct.pack(">HHHB", 1, 13, 1, 0x80))


def icc(profile: bytes) -> bytes:
    return box(b"colr", b"prof", profile)


def exif_item(block: bytes) -> Item:
    return Item(b"Exif", struct.pack(">I", 0) + block.removeprefix(b"Exif\0\0"))


def heif(items: list[Item], *, primary: int = 1, brand: bytes = b"heic") -> bytes:
    """A file of these items, which count from 1; EXIF describes the primary one."""
    properties: list[bytes] = []
    associations = b""
    for number, item in enumerate(items, 1):
        indices = bytearray()
        for one in item.properties:
            if one not in properties:
                properties.append(one)
            indices.append(properties.index(one) + 1 | 0x80)
        if indices:
            associations += struct.pack(">HB", number, len(indices)) + indices
    belonging = sum(bool(item.properties) for item in items)
    infos = b"".join(
        full(b"infe", 2, 0, struct.pack(">HH4s", number, 0, item.kind), b"\0")
        for number, item in enumerate(items, 1)
    )
    references = b"".join(
        box(b"dimg", struct.pack(f">HH{len(i.tiles)}H", n, len(i.tiles), *i.tiles))
        for n, i in enumerate(items, 1)
        if i.tiles
    ) + b"".join(
        box(b"cdsc", struct.pack(">HHH", n, 1, primary))
        for n, i in enumerate(items, 1)
        if i.kind == b"Exif"
    )
    ftyp = box(b"ftyp", brand, bytes(4), b"mif1", brand)

    def meta(start: int) -> bytes:
        places, at = b"", start
        for number, item in enumerate(items, 1):
            places += struct.pack(">HHHII", number, 0, 1, at, len(item.content))
            at += len(item.content)
        return full(
            b"meta", 0, 0,
            full(b"hdlr", 0, 0, bytes(4) + b"pict" + bytes(12) + b"\0"),
            full(b"pitm", 0, 0, struct.pack(">H", primary)),
            full(b"iloc", 0, 0, b"\x44\0", struct.pack(">H", len(items)), places),
            full(b"iinf", 0, 0, struct.pack(">H", len(items)), infos),
            full(b"iref", 0, 0, references) if references else b"",
            box(
                b"iprp",
                box(b"ipco", *properties),
                full(b"ipma", 0, 0, struct.pack(">I", belonging), associations),
            ),
        )  # fmt: skip

    start = len(ftyp) + len(meta(0)) + 8
    return ftyp + meta(start) + box(b"mdat", *(item.content for item in items))


def single(pixels: Any, *more: bytes, exif: bytes = b"", deep: bool = False) -> bytes:
    """One picture, with ``more`` properties (turns, profiles) and EXIF."""
    height, width, _ = pixels.shape
    config, slices = hevc(pixels, deep=deep)
    items = [Item(b"hvc1", slices, [config, ispe(width, height), nclx(), *more])]
    return heif(items + ([exif_item(exif)] if exif else []))


def grid(pixels: Any, side: int, *more: bytes, exif: bytes = b"") -> bytes:
    """A picture in tiles of ``side`` x ``side``, as iPhones write it; the last ones are padded."""
    height, width, _ = pixels.shape
    rows, columns = -(-height // side), -(-width // side)
    padding = ((0, rows * side - height), (0, columns * side - width), (0, 0))
    padded = np.pad(pixels, padding, mode="edge")
    head = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)
    tiles = []
    for row in range(rows):
        for column in range(columns):
            part = padded[row * side : (row + 1) * side, column * side : (column + 1) * side]
            config, slices = hevc(part)
            tiles.append(Item(b"hvc1", slices, [config, ispe(side, side), nclx()]))
    numbers = list(range(2, 2 + len(tiles)))
    first = Item(b"grid", head, [ispe(width, height), *more], numbers)
    return heif([first, *tiles] + ([exif_item(exif)] if exif else []))
