"""Decoders hold no more memory than was estimated from the header: the kernel sees to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests import bombs, heic
from tests.unit.test_media_pictures import quarters, saved

from ocelli.media.decode import decode
from ocelli.media.dhash import dhash
from ocelli.media.sanitize import sanitized
from ocelli.media.variants import render

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 10**8
SIDE = 2400
KINDS: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: saved(quarters(SIDE, SIDE), "JPEG"),
    "jpeg progressive": lambda: bombs.jpeg(SIDE, SIDE),
    "jpeg progressive cmyk": lambda: bombs.jpeg(SIDE, SIDE, components=4),
    "jpeg in scans": lambda: bombs.jpeg(SIDE, SIDE, components=4, progressive=False),
    "png": lambda: bombs.png(SIDE, SIDE),
    "png interlaced": lambda: bombs.png(SIDE, SIDE, color=3, depth=1, interlaced=True),
    "png interlaced 16": lambda: bombs.png(SIDE, SIDE, color=6, depth=16, interlaced=True),
    "png wide": lambda: bombs.png(200_000, 12),
    "webp": lambda: saved(quarters(SIDE, SIDE), "WEBP"),
    "webp long": lambda: saved(quarters(16_000, 300), "WEBP"),
    "webp lossless": lambda: saved(quarters(SIDE, SIDE), "WEBP", lossless=True),
    "webp animated": lambda: bombs.animated_webp(2, width=SIDE, height=SIDE),
    "gif": lambda: bombs.gif(SIDE, SIDE),
    "gif on a small screen": lambda: bombs.gif(SIDE, SIDE, screen=(1, 1)),
    "heic": lambda: heic.single(np.asarray(quarters(SIDE, SIDE))),
    "heic in tiles": lambda: heic.grid(np.asarray(quarters(SIDE, SIDE)), 800),
    "heic of 10 bits": lambda: heic.single(np.asarray(quarters(SIDE, SIDE)), deep=True),
    "avif": lambda: saved(quarters(SIDE, SIDE), "AVIF", speed=10),
    "avif alpha": lambda: saved(quarters(SIDE, SIDE).convert("RGBA"), "AVIF", speed=10),
    "tiff": lambda: saved(quarters(SIDE, SIDE), "TIFF"),
    "tiff in one strip": lambda: saved(
        quarters(SIDE, SIDE), "TIFF", compression="tiff_lzw", tiffinfo={278: SIDE}
    ),
    "bmp": lambda: saved(quarters(SIDE, SIDE), "BMP"),
    "bmp palette": lambda: saved(quarters(SIDE, SIDE).quantize(8), "BMP"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_estimated_is_enough(kind: str) -> None:
    data = KINDS[kind]()
    assert decode(data, max_pixels=LIMIT).pixels.any() >= 0
    assert render(data, max_pixels=LIMIT).variants
    assert sanitized(data, max_side=None, max_bytes=None, max_pixels=LIMIT)
    assert dhash(data, max_pixels=LIMIT) >= 0
