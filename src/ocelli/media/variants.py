"""The smaller copies of a picture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ocelli.domain.images import VariantType
from ocelli.media import blurhash
from ocelli.media.decode import checked_header, flat, open_scaled, reading

if TYPE_CHECKING:
    import pyvips

CONTENT_TYPE = "image/webp"
"""What every variant is."""

_SIDES = {type: type.side for type in VariantType if type.side is not None}
_SAVE = {"Q": 80, "effort": 2, "keep": "none"}


@dataclass(frozen=True, slots=True)
class RenderedVariant:
    """One copy: ``data`` is a WebP file without metadata, ``width`` × ``height`` pixels."""

    type: VariantType
    width: int
    height: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Rendered:
    """All copies, the largest first, and the BlurHash of the picture on white."""

    variants: tuple[RenderedVariant, ...]
    blur_hash: str


def render(data: bytes, *, max_pixels: int) -> Rendered:
    """Every VariantType but the original, of the picture (or of the first frame) in ``data``.

    Upright and in sRGB; transparency is kept; nothing of EXIF, GPS, XMP or ICC is. Never enlarged:
    where the picture is smaller than a variant, the variant has the picture's size.

    Raises AnalysisFailed, as ``decode`` does.
    """
    header = checked_header(data, max_pixels=max_pixels)
    with reading(data, header):
        sides = sorted(_SIDES.items(), key=lambda item: item[1], reverse=True)
        image = open_scaled(data, header, sides[0][1]).copy_memory()
        variants = [_save(sides[0][0], image)]
        for type, side in sides[1:]:
            if side < max(image.width, image.height):
                image = image.thumbnail_image(side, height=side, size="down").copy_memory()
                variants.append(_save(type, image))
            else:
                variants.append(replace(variants[-1], type=type))
        return Rendered(tuple(variants), blurhash.encode(flat(image).numpy()))


def _save(type: VariantType, image: pyvips.Image) -> RenderedVariant:
    return RenderedVariant(type, image.width, image.height, image.webpsave_buffer(**_SAVE))
