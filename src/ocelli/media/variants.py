"""Render the variants of a picture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ocelli.domain.images import VariantType
from ocelli.media import blurhash, chroma, isolation, memory
from ocelli.media.decode import checked_header, reading, scaled
from ocelli.media.transparency import flat, ground_of

if TYPE_CHECKING:
    import pyvips

    from ocelli.domain.images import ImageHeader

CONTENT_TYPE = "image/webp"
"""The MIME type of all variants."""

_SIDES = {type: type.side for type in VariantType if type.side is not None}
_LOSSY = {"Q": 80, "effort": 2, "keep": "none"}
_NEARLY_LOSSLESS = {"near_lossless": True, "Q": 40, "effort": 2, "keep": "none"}

# Parts of a window of small colourful things, see chroma.faded.
_SOME, _MANY = 0.045, 0.095
_DRAWING = 0.5  # bytes a pixel, without loss; a photograph takes about 1.2


@dataclass(frozen=True, slots=True)
class RenderedVariant:
    """One copy: ``data`` is a WebP file without metadata, ``width`` × ``height`` pixels."""

    type: VariantType
    width: int
    height: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Rendered:
    """All variants, the largest first, and the BlurHash of the picture on its background."""

    variants: tuple[RenderedVariant, ...]
    blur_hash: str


def render(data: bytes, *, max_pixels: int) -> Rendered:
    """Render all variants of the picture (or of its first frame) in ``data``.

    Upright and in sRGB; transparency is kept; nothing of EXIF, GPS, XMP or ICC is. Never enlarged:
    where the picture is smaller than a variant, the variant has the picture's size.

    Raises AnalysisFailed, as ``decode`` does.
    """
    header = checked_header(data, max_pixels=max_pixels)
    return isolation.run(_render, data, header, memory=memory.needed(header, max(_SIDES.values())))


def _render(data: bytes, header: ImageHeader) -> Rendered:
    with reading(data, header):
        sides = sorted(_SIDES.items(), key=lambda item: item[1], reverse=True)
        image = scaled(data, header, sides[0][1])
        ground = ground_of(image)
        variants = [_save(sides[0][0], image)]
        for type, side in sides[1:]:
            if side < max(image.width, image.height):
                image = image.thumbnail_image(side, height=side, size="down").copy_memory()
                variants.append(_save(type, image))
            else:
                variants.append(replace(variants[-1], type=type))
        return Rendered(tuple(variants), blurhash.encode(flat(image, ground).numpy()))


def _save(type: VariantType, image: pyvips.Image) -> RenderedVariant:
    return RenderedVariant(type, image.width, image.height, _webp(image))


def _webp(image: pyvips.Image) -> bytes:
    """Encode as lossy WebP, unless 4:2:0 would take the colour of small coloured details."""
    lossy: bytes = image.webpsave_buffer(**_LOSSY)
    faded = chroma.faded(image.numpy()[..., :3])
    if faded < _SOME:
        return lossy
    if faded > _MANY or _is_drawing(image):
        return bytes(image.webpsave_buffer(**_NEARLY_LOSSLESS))
    return bytes(image.webpsave_buffer(smart_subsample=True, **_LOSSY))


def _is_drawing(image: pyvips.Image) -> bool:
    size = len(image.webpsave_buffer(lossless=True, effort=0, keep="none"))
    return bool(size <= _DRAWING * image.width * image.height)
