"""Encode pictures as JPEG for other servers: scaled, without metadata.

Metadata (place, time, camera) stays here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.media import isolation, memory
from ocelli.media._vips import vips
from ocelli.media.decode import checked_header, reading, scaled
from ocelli.media.transparency import flat

if TYPE_CHECKING:
    import pyvips

    from ocelli.domain.images import ImageHeader
    from ocelli.domain.ports_backends import PictureLike

MOST_PIXELS = 2**32  # it has been decoded before, within the limit that counts


def jpeg(picture: PictureLike, *, side: int, quality: int, full: bool = False) -> bytes:
    """Encode ``picture`` with at most ``side`` pixels on its longer side, never enlarged.

    ``full`` decodes the file again if ``picture.pixels`` is smaller than ``side``. Blocking.
    Raises AnalysisFailed.
    """
    height, width = picture.pixels.shape[:2]
    if full and max(height, width) < side:
        header = checked_header(picture.data, max_pixels=MOST_PIXELS)
        if max(header.width, header.height) > max(height, width):
            return isolation.run(
                _jpeg, picture.data, header, side, quality, memory=memory.needed(header, side)
            )
    image = vips().Image.new_from_memory(picture.pixels.data, width, height, 3, "uchar")
    image = image.copy(interpretation="srgb")
    if max(width, height) > side:
        image = image.thumbnail_image(side, height=side, size="down")
    return encoded(image, quality)


def _jpeg(data: bytes, header: ImageHeader, side: int, quality: int) -> bytes:
    with reading(data, header):
        return encoded(flat(scaled(data, header, side)), quality)


def encoded(image: pyvips.Image, quality: int) -> bytes:
    """Return a JPEG of ``image`` without metadata and without chroma subsampling."""
    return bytes(image.jpegsave_buffer(Q=quality, subsample_mode="off", keep="none"))
