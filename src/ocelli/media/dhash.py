"""dHash: a perceptual hash of 64 bits, almost equal for copies of one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.media import isolation, memory
from ocelli.media.decode import checked_header, reading, scaled
from ocelli.media.transparency import flat

if TYPE_CHECKING:
    from ocelli.domain.images import ImageHeader

SIDE = 128
_ACROSS, _DOWN = 9, 8


def dhash(data: bytes, *, max_pixels: int) -> int:
    """Return the hash: a bit for each of 8 × 8 cells, set if brighter than the cell to its left.

    Raises AnalysisFailed, as ``decode`` does.
    """
    header = checked_header(data, max_pixels=max_pixels)
    return isolation.run(_dhash, data, header, memory=memory.needed(header, SIDE))


def _dhash(data: bytes, header: ImageHeader) -> int:
    with reading(data, header):
        image = flat(scaled(data, header, SIDE)).colourspace("b-w")
        image = image.thumbnail_image(_ACROSS, height=_DOWN, size="force")
        pixels = image.numpy().reshape(_DOWN, _ACROSS)
    bits = (pixels[:, 1:] > pixels[:, :-1]).flatten()
    return sum(1 << at for at, bit in enumerate(bits) if bit)
