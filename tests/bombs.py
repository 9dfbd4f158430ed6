"""Small files that unpack to much, each made of a few bytes of its format."""

from __future__ import annotations

import struct
import zlib
from itertools import repeat

_ZERO_CODE = b"\1" + bytes(15)  # a Huffman table with one code, of one bit


def jpeg(
    width: int, height: int, *, components: int = 3, progressive: bool = True, scans: int = 1
) -> bytes:
    """A JPEG of one colour whose components come in scans of their own; all of it is there.

    ``scans`` repeats the last one of a progressive JPEG, which brings nothing new.
    """
    blocks = -(-width // 8) * -(-height // 8)
    ids = range(1, components + 1)
    head = struct.pack(">BHHB", 8, height, width, components)
    made = [
        b"\xff\xd8",
        _segment(0xDB, b"\0" + b"\1" * 64),
        _segment(0xC2 if progressive else 0xC0, head + b"".join(bytes([n, 0x11, 0]) for n in ids)),
        _segment(0xC4, b"\0" + _ZERO_CODE + b"\0"),  # no difference to the block before
    ]
    if components == 4:  # CMYK as Adobe writes it
        made.insert(1, _segment(0xEE, b"Adobe\0\x64\0\0\0\0\0"))
    if not progressive:
        made.append(_segment(0xC4, b"\x10" + _ZERO_CODE + b"\0"))  # nothing but the average
        made += [_scan(n, 0, 63, bytes(-(-blocks // 4))) for n in ids]
        return b"".join([*made, b"\xff\xd9"])
    made.append(_segment(0xC4, b"\x10" + _ZERO_CODE + b"\xe0"))  # a run of up to 32,767 blocks
    made += [_scan(n, 0, 0, bytes(-(-blocks // 8))) for n in ids]
    runs = "0" + "1" * 14
    bits = runs * (blocks // 32_767 + 1)
    bits += "1" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8).replace(b"\xff", b"\xff\0")
    made += [_scan(n, 1, 63, data) for n in ids]
    made += [_scan(1, 0, 0, bytes(-(-blocks // 8)))] * (scans - 1)
    return b"".join([*made, b"\xff\xd9"])


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _scan(component: int, first: int, last: int, data: bytes) -> bytes:
    return _segment(0xDA, bytes([1, component, 0, first, last, 0])) + data


def png(
    width: int,
    height: int,
    *,
    depth: int = 8,
    color: int = 2,
    interlaced: bool = False,
    chunks: bytes = b"",
) -> bytes:
    """A black PNG, with ``chunks`` before its pixels."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [
            *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
            *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
        ]
    packer = zlib.compressobj(1)
    packed = []
    for x, y, across, down in passes:
        columns, rows = -(-(width - x) // across), -(-(height - y) // down)
        row = bytes(1 + -(-columns * channels * depth // 8))
        if columns > 0 and rows > 0:
            packed += [packer.compress(each) for each in repeat(row, rows)]
    packed.append(packer.flush())
    data = png_chunk(b"IDAT", b"".join(packed)) + png_chunk(b"IEND", b"")
    return png_head(width, height, depth, color, interlaced=interlaced, chunks=chunks) + data


def png_head(
    width: int,
    height: int,
    depth: int = 8,
    color: int = 2,
    *,
    interlaced: bool = False,
    chunks: bytes = b"",
) -> bytes:
    """A PNG up to its pixels, of which the first chunk is empty."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, int(interlaced))
    palette = png_chunk(b"PLTE", bytes(3)) if color == 3 else b""
    start = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header)
    return start + palette + chunks + png_chunk(b"IDAT", b"")


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk with its sum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def gif(
    width: int, height: int, *, frames: int = 1, screen: tuple[int, int] | None = None
) -> bytes:
    """A few bytes that unpack to a picture of this size; all frames are alike."""
    head = b"GIF89a" + struct.pack("<HH", *(screen or (width, height)))
    frame = b"," + struct.pack("<HHHH", 0, 0, width, height) + b"\0\2\2\x4c\1\0"
    return head + b"\x80\0\0\0\0\0\xff\xff\xff" + frame * frames + b";"


# A lossless WebP of one pixel.
_VP8L = bytes.fromhex("2f00000000071011fd0f4444ff03")


def animated_webp(frames: int, *, width: int = 1, height: int = 1) -> bytes:
    """Frames of one pixel on a canvas of this size."""
    still = b"VP8L" + struct.pack("<I", len(_VP8L)) + _VP8L
    place = bytes(6) + bytes(6) + (40).to_bytes(3, "little") + b"\0"
    frame = b"ANMF" + struct.pack("<I", len(place) + len(still)) + place + still
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + size
    body = b"WEBP" + canvas + b"ANIM" + struct.pack("<I", 6) + bytes(6) + frame * frames
    return b"RIFF" + struct.pack("<I", len(body)) + body
