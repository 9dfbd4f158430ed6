"""A picture as another house gets it: the pixels, and nothing that they do not show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.media import isolation, memory
from ocelli.media.decode import checked_header, reading, scaled
from ocelli.media.encode import encoded
from ocelli.media.transparency import flat

if TYPE_CHECKING:
    from ocelli.domain.images import ImageHeader

_QUALITIES = (90, 75, 60)
_SMALLEST = 256
_LONGEST = 65_500  # of a JPEG


def sanitized(
    data: bytes, *, max_side: int | None, max_bytes: int | None, max_pixels: int
) -> bytes:
    """Encode the picture in ``data`` anew: a JPEG, upright, sRGB, opaque, without metadata.

    Never larger than it was, and within the limits. Of an animation the first frame. Blocking: it
    decodes the whole picture. Raises AnalysisFailed, as ``decode`` does.
    """
    header = checked_header(data, max_pixels=max_pixels)
    side = max(header.width, header.height)
    side = min(side, max_side or side, _LONGEST)
    return isolation.run(_fit, data, header, side, max_bytes, memory=memory.needed(header, side))


def _fit(data: bytes, header: ImageHeader, side: int, max_bytes: int | None) -> bytes:
    with reading(data, header):
        image = flat(scaled(data, header, side)).copy_memory()
        while True:
            for quality in _QUALITIES:
                made = encoded(image, quality)
                if max_bytes is None or len(made) <= max_bytes:
                    return made
            side = round(max(image.width, image.height) * 0.75)
            if side < _SMALLEST:
                return made
            image = image.thumbnail_image(side, height=side, size="down").copy_memory()
