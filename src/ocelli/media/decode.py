"""Decode pictures in bounded memory; a damaged one is an error, never half a picture."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ocelli.domain.errors import AnalysisFailed, FailureType, ValidationFailed
from ocelli.domain.images import ImageFormat, ImageHeader
from ocelli.media import bmp, hevc, isolation, jpeg, memory, profiles
from ocelli.media._vips import open_source, vips
from ocelli.media.gif import first_frame
from ocelli.media.header import read_header
from ocelli.media.transparency import flat

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import pyvips
    from numpy.typing import NDArray


MAX_SIDE = 2048  # pixels; models see less


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Picture:
    """A decoded picture.

    ``pixels`` has the shape (height, width, 3): upright, RGB in sRGB, uint8, contiguous and
    read-only, as several backends look at the same one. ``width`` and ``height`` are those of the
    original, upright, in pixels; ``pixels`` may be smaller. ``data`` is the file itself.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    data: bytes


def decode(data: bytes, *, max_side: int = MAX_SIDE, max_pixels: int) -> Picture:
    """Decode a picture to at most ``max_side`` pixels on its longer side, never enlarged.

    Of an animation the first frame; transparency is replaced by a background, see ``flat``.
    Blocking; the decoder runs in a child process, see ``isolation``.

    Raises AnalysisFailed: VALIDATION (not retryable) if the data is no picture, is truncated or
    damaged, or has more than ``max_pixels``; RESOURCE_LIMIT if it takes too much time or memory.
    """
    header = checked_header(data, max_pixels=max_pixels)
    pixels = isolation.run(_pixels, data, header, max_side, memory=memory.needed(header, max_side))
    pixels.flags.writeable = False
    return Picture(pixels, header.width, header.height, data)


def _pixels(data: bytes, header: ImageHeader, max_side: int) -> NDArray[np.uint8]:
    with reading(data, header):
        pixels: NDArray[np.uint8] = flat(scaled(data, header, max_side)).numpy()
        return pixels


def checked_header(data: bytes, *, max_pixels: int) -> ImageHeader:
    """Call ``read_header``; its errors are raised as AnalysisFailed."""
    try:
        return read_header(data, max_pixels=max_pixels)
    except ValidationFailed as error:
        raise AnalysisFailed(FailureType.VALIDATION, error.message, retryable=False) from error


def scaled(data: bytes, header: ImageHeader, side: int) -> pyvips.Image:
    """Return the image in memory: upright, sRGB, 8 bits, alpha kept, at most ``side`` pixels.

    Use it inside ``reading``. Raises pyvips.Error.
    """
    if header.format is not ImageFormat.JPEG:
        return _scaled(data, header, side, "error")
    if not jpeg.has_all_scans(data):
        raise vips().Error("scans are missing")
    try:
        return _scaled(data, header, side, "warning")
    except vips().Error:
        if jpeg.is_cut(data):
            raise
    return _scaled(data, header, side, "error")  # cameras write what is warned of, and harmless


def _scaled(data: bytes, header: ImageHeader, side: int, fail_on: str) -> pyvips.Image:
    # Not `thumbnail_source`: it accepts `fail_on` and ignores it (libvips issue 5195), so half a
    # file would become half a picture.
    # This name must last as long as the image: libvips keeps the address alone.
    picture = first_frame(data) if header.format is ImageFormat.GIF else data
    image, space = profiles.usable(_opened(picture, header, side, fail_on))
    # In two steps: on the way to a very small picture very many rows would be held.
    first = max(side, memory.SMALL)
    image = image.thumbnail_image(first, height=first, size="down", **space)
    if side < first:
        image = image.copy_memory().thumbnail_image(side, height=side, size="down")
    return (image if image.interpretation == "srgb" else image.colourspace("srgb")).copy_memory()


def _opened(data: bytes, header: ImageHeader, side: int, fail_on: str) -> pyvips.Image:
    """Open a picture of libvips's formats, decode one of the others. ``data`` must outlive it."""
    match header.format:
        case ImageFormat.BMP:
            return _from_pixels(bmp.pixels(data))
        case ImageFormat.HEIC:
            pixels, profile = hevc.pixels(data)
            return _from_pixels(pixels, profile)
    return open_source(
        vips().Source.new_from_memory(data),
        header.format,
        fail_on=fail_on,
        **_shrink_on_load(header, side),
    )


def _from_pixels(pixels: NDArray[np.uint8], profile: bytes | None = None) -> pyvips.Image:
    height, width, bands = pixels.shape
    image = vips().Image.new_from_memory(pixels.data, width, height, bands, "uchar")
    image = image.copy(interpretation="srgb")
    return profiles.attached(image, profile) if profile else image


@contextmanager
def reading(data: bytes, header: ImageHeader) -> Iterator[None]:
    """Translate errors of decoding to AnalysisFailed."""
    try:
        yield
    except MemoryError as error:
        raise _short_of_memory(header) from error
    except (vips().Error, UnicodeDecodeError, bmp.Cut, hevc.Damaged) as error:
        raise _explained(data, header) from error


def _shrink_on_load(header: ImageHeader, side: int) -> dict[str, Any]:
    """Return the options that make the decoder shrink, which saves most of time and memory.

    Never so far that the shorter side vanishes: libjpeg then fails, libwebp loses the colours.
    """
    shorter, longer = sorted((header.width, header.height))
    match header.format:
        case ImageFormat.JPEG:
            fitting = (n for n in (8, 4, 2) if longer >= n * side and shorter >= n)
            return {"shrink": next(fitting, 1)}
        case ImageFormat.WEBP if longer > side and shorter * side >= 16 * longer:
            return {"scale": side / longer}
        case _:
            return {}


def _explained(data: bytes, header: ImageHeader) -> AnalysisFailed:
    # libvips has one error type and a text; we look at facts instead.
    if _ends_early(data, header.format):
        message = "The file is truncated: it ends before the picture does. Upload it again."
    else:
        message = "The picture data is damaged. Export the picture again and upload the new file."
    return AnalysisFailed(FailureType.VALIDATION, message, retryable=False)


def _short_of_memory(header: ImageHeader) -> AnalysisFailed:
    return AnalysisFailed(
        FailureType.RESOURCE_LIMIT,
        f"There is not enough memory right now to decode a picture of {header.width:,} × "
        f"{header.height:,} pixels.",
        retryable=True,
    )


def _ends_early(data: bytes, format: ImageFormat) -> bool:
    """Return whether the end marker of the file is missing; it decides the error message only."""
    match format:
        case ImageFormat.JPEG:
            return not data.rstrip(b"\0").endswith(b"\xff\xd9")
        case ImageFormat.PNG:
            return b"IEND" not in data[-1024:]
        case ImageFormat.WEBP:
            return len(data) < 8 + int.from_bytes(data[4:8], "little")
        case ImageFormat.GIF:
            return not data.rstrip(b"\0").endswith(b";")
        case ImageFormat.HEIC | ImageFormat.AVIF | ImageFormat.TIFF | ImageFormat.BMP:
            return False  # they have no mark at their end
