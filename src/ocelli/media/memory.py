"""Estimates of the memory for decoding, by the header; rather too high."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.domain.accounts import MEGABYTE

if TYPE_CHECKING:
    from ocelli.domain.images import ImageHeader

SMALL = 1024  # pixels a side; a picture is not made much smaller than this while it is read

_ANY = 16 * MEGABYTE  # of the smallest picture
_ROWS = 250  # that are under way at a time, roughly
_COPIES = 12  # bytes for each pixel of what is made: with alpha, twice, and on the way
_ALLOWED = 4  # bytes for each pixel that a picture may have
_ALWAYS_ALLOWED = 64 * MEGABYTE


def needed(header: ImageHeader, side: int | None = None) -> int:
    """Return the bytes to decode the picture to at most ``side`` pixels; None: in full size."""
    longer = max(header.width, header.height)
    side = min(side or longer, longer)
    made = round(header.width * header.height * (side / longer) ** 2)
    rows = _ROWS + min(2 * header.height, 3 * longer // max(side, SMALL))
    return _ANY + header.whole + header.row * rows + made * _COPIES


def allowed(max_pixels: int) -> int:
    """Return the limit in bytes for decoding one picture of at most ``max_pixels``."""
    return _ANY + max(_ALWAYS_ALLOWED, _ALLOWED * max_pixels)
