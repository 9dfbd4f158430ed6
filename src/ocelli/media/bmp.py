"""BMP files: their header, and their pixels without a decoder of others.

Uncompressed ones only: run lengths and embedded files (rare) are refused.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmap import mmap

    Data = bytes | mmap

_FILE_HEADER = 14  # bytes
_CORE, _INFO, _V2, _V3 = 12, 40, 52, 56  # sizes of headers
_SIZES = {_CORE, _INFO, _V2, _V3, 64, 108, 124}
_RGB, _BITFIELDS, _ALPHA_BITFIELDS = 0, 3, 6
_COMPRESSED = {1, 2, 4, 5}
_DEPTHS = {_RGB: {1, 4, 8, 16, 24, 32}, _BITFIELDS: {16, 32}, _ALPHA_BITFIELDS: {16, 32}}
_MASKS_16, _MASKS_32 = (0x7C00, 0x03E0, 0x001F, 0), (0xFF0000, 0xFF00, 0xFF, 0)
_ROWS = 64  # that are converted at a time


@dataclass(frozen=True, slots=True)
class Bmp:
    """The structure of a BMP: ``stride`` is the length of a row in bytes, ``masks`` are those of
    red, green, blue and alpha; ``palette`` is where its colours begin, ``entry`` their length.
    """

    width: int
    height: int
    depth: int
    is_top_down: bool
    pixels_at: int
    stride: int
    masks: tuple[int, int, int, int]
    palette: int
    entry: int

    @property
    def channels(self) -> int:
        """3, or 4 with alpha."""
        return 4 if self.masks[3] else 3

    @property
    def end(self) -> int:
        """Where the last row ends."""
        return self.pixels_at + self.stride * self.height


class Cut(ValueError):
    """The file ends before its pixels do."""


class Unsupported(ValueError):
    """The file is sound, but of a kind that is not read; says which."""


def structure(data: Data) -> Bmp:
    """Return the structure. Raises Unsupported, and ValueError or struct.error if damaged."""
    (pixels_at, size) = struct.unpack_from("<II", data, 10)
    if size not in _SIZES:
        raise ValueError("a header of an unknown size")
    compression, masks = _RGB, _MASKS_32
    if size == _CORE:
        width, height, planes, depth = struct.unpack_from("<HHHH", data, 18)
    else:
        width, height, planes, depth, compression = struct.unpack_from("<iiHHI", data, 18)
    if compression in _COMPRESSED:
        raise Unsupported("a compressed BMP")
    if depth == 16:
        masks = _MASKS_16
    if compression in (_BITFIELDS, _ALPHA_BITFIELDS):
        has_alpha = size >= _V3 or compression == _ALPHA_BITFIELDS
        masks = struct.unpack_from("<IIII" if has_alpha else "<III", data, 54)
        masks = (*masks, 0)[:4]
    is_sound = (
        planes == 1
        and depth in _DEPTHS.get(compression, ())
        and width > 0
        and height
        and all(_is_mask(mask, depth) for mask in masks)
        and pixels_at >= _FILE_HEADER + size
    )
    if not is_sound:
        raise ValueError("a header that makes no sense")
    return Bmp(
        width=width,
        height=abs(height),
        depth=depth,
        is_top_down=height < 0,
        pixels_at=pixels_at,
        stride=(width * depth + 31) // 32 * 4,
        masks=masks,
        palette=_FILE_HEADER + size,
        entry=3 if size == _CORE else 4,
    )


def _is_mask(mask: int, depth: int) -> bool:
    """Return whether the bits of a mask are neighbours, and within a pixel."""
    if depth not in (16, 32):
        return True
    low = mask & -mask
    return mask < 1 << depth and (mask == 0 or (mask + low) & mask == 0)


def pixels(data: bytes) -> Any:
    """Return the pixels of a file with a sound structure: (height, width, 3 or 4), uint8.

    Raises Cut if the file ends before they do.
    """
    import numpy as np

    bmp = structure(data)
    if len(data) < bmp.end:
        raise Cut("the pixels are not all there")
    rows = np.frombuffer(data, np.uint8, bmp.stride * bmp.height, bmp.pixels_at)
    rows = rows.reshape(bmp.height, bmp.stride)
    if not bmp.is_top_down:
        rows = rows[::-1]
    made = np.empty((bmp.height, bmp.width, bmp.channels), np.uint8)
    palette = _palette(data, bmp) if bmp.depth <= 8 else None
    for start in range(0, bmp.height, _ROWS):
        part = np.ascontiguousarray(rows[start : start + _ROWS])
        made[start : start + _ROWS] = _converted(part, bmp, palette)
    if bmp.channels == 4 and not made[..., 3].any():  # programs that write no alpha there
        return np.ascontiguousarray(made[..., :3])
    return made


def _converted(part: Any, bmp: Bmp, palette: Any) -> Any:
    import numpy as np

    if palette is not None:
        return palette[_indices(part, bmp)]
    if bmp.depth == 24:
        return part[:, : 3 * bmp.width].reshape(len(part), bmp.width, 3)[..., ::-1]
    values = part.view("<u2" if bmp.depth == 16 else "<u4")[:, : bmp.width].astype(np.uint32)
    return np.stack([_channel(values, mask) for mask in bmp.masks[: bmp.channels]], axis=-1)


def _channel(values: Any, mask: int) -> Any:
    """Return one channel from 0 to 255; black without a mask."""
    import numpy as np

    if not mask:
        return np.zeros(values.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    most = mask >> shift
    return (((values & mask) >> shift) * (255 / most) + 0.5).astype(np.uint8)


def _indices(part: Any, bmp: Bmp) -> Any:
    import numpy as np

    if bmp.depth == 8:
        return part[:, : bmp.width]
    bits = np.unpackbits(part, axis=1)[:, : bmp.width * bmp.depth]
    if bmp.depth == 1:
        return bits
    return np.packbits(bits.reshape(len(part), bmp.width, bmp.depth), axis=2)[..., 0] >> 4


def _palette(data: bytes, bmp: Bmp) -> Any:
    """Return 256 colours; those that are not in the file are black."""
    import numpy as np

    there = data[bmp.palette : min(bmp.pixels_at, bmp.palette + (bmp.entry << bmp.depth))]
    colors = np.frombuffer(there, np.uint8, len(there) // bmp.entry * bmp.entry)
    made = np.zeros((256, 3), np.uint8)
    colors = colors.reshape(-1, bmp.entry)[:, 2::-1]
    made[: len(colors)] = colors
    return made
