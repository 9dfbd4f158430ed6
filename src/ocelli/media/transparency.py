"""The background for pictures with transparency: the one that shows their content."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyvips

WHITE, BLACK, GREY = 255, 0, 128
_SIDE = 512  # pixels; enough to see what a ground hides
_EDGE = 5  # pixels within which colours meet
_VISIBLE = 32  # levels of grey that differ so much are told apart
_ENOUGH = 0.2  # of its edges tell what a thing is
_AS_GOOD = 0.97  # a ground that shows so much of what the best one does


def flat(image: pyvips.Image, ground: int | None = None) -> pyvips.Image:
    """Return ``image`` (in memory, sRGB, uint8) on this background, or on ``ground_of`` it."""
    if not image.hasalpha():
        return image
    return image.flatten(background=ground_of(image) if ground is None else ground)


def ground_of(image: pyvips.Image) -> int:
    """Return the grey, 0 to 255, that shows the content of ``image`` (sRGB, uint8); white if so.

    Black is for light content, grey for light and dark content together.
    """
    import numpy as np

    if not image.hasalpha():
        return WHITE
    pixels = image.thumbnail_image(_SIDE, height=_SIDE, size="down").numpy()
    if pixels[..., 3].min() == 255:
        return WHITE
    edges = {ground: _edges(pixels, ground) for ground in (WHITE, BLACK, GREY)}
    best = np.max([*edges.values()], axis=0)
    shown = {ground: best[of >= _ENOUGH * best].sum() for ground, of in edges.items()}
    return next(each for each, much in shown.items() if much >= _AS_GOOD * max(shown.values()))


def _edges(pixels: Any, ground: int) -> Any:
    """Return the number of visible edge pixels of each object that transparency surrounds."""
    import cv2
    import numpy as np

    alpha = pixels[..., 3]
    grey = cv2.cvtColor(np.ascontiguousarray(pixels[..., :3]), cv2.COLOR_RGB2GRAY)
    laid = (ground + (grey - float(ground)) * (alpha / 255)).astype(np.float32)
    around = np.ones((_EDGE, _EDGE), np.uint8)
    is_edge = cv2.dilate(laid, around) - cv2.erode(laid, around) >= _VISIBLE
    _, things = cv2.connectedComponents((alpha >= _VISIBLE).astype(np.uint8))
    return np.bincount(things.ravel(), is_edge.ravel())[1:]
