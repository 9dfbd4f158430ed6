"""The loss of colour by chroma subsampling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_COLOURFUL = 100  # the difference of the channels, 0 to 255
_KEPT = 0.7
_WINDOW = 32  # pixels


def faded(pixels: NDArray[np.uint8]) -> float:
    """Return the largest share of a window of (h, w, 3) sRGB that loses its colour by 4:2:0.

    Measured: one word of small letters 0.05 to 0.25, half of 150 photographs less than 0.02, one in
    twenty more than 0.14.
    """
    import cv2
    import numpy as np

    height, width = pixels.shape[:2]
    luma_chroma = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2YCrCb)
    half = ((width + 1) // 2, (height + 1) // 2)
    chroma = cv2.resize(luma_chroma[..., 1:], half, interpolation=cv2.INTER_AREA)
    luma_chroma[..., 1:] = cv2.resize(chroma, (width, height), interpolation=cv2.INTER_LINEAR)
    before = _saturation(pixels)
    after = _saturation(cv2.cvtColor(luma_chroma, cv2.COLOR_YCrCb2RGB))
    lost = ((before >= _COLOURFUL) & (after < _KEPT * before)).astype(np.float32)
    window = min(_WINDOW, width), min(_WINDOW, height)
    return float(cv2.blur(lost, window).max())


def _saturation(pixels: Any) -> Any:
    import cv2

    red, green, blue = cv2.split(pixels)
    darkest = cv2.min(cv2.min(red, green), blue)
    return cv2.subtract(cv2.max(cv2.max(red, green), blue), darkest)
