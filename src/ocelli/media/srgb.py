"""From sRGB to linear light and back (IEC 61966-2-1)."""

from __future__ import annotations

from functools import cache
from typing import Any


def to_linear(rgb: Any) -> Any:
    """Return linear light from 0 to 1 of sRGB from 0 to 255; for uint8 from a table."""
    import numpy as np

    rgb = np.asarray(rgb)
    if rgb.dtype == np.uint8:
        return _of_bytes()[rgb]
    part = rgb / 255
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


def from_linear(linear: Any) -> Any:
    """Return sRGB from 0 to 1 of linear light, which is clipped to that range."""
    import numpy as np

    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


@cache
def _of_bytes() -> Any:
    """Return the table for uint8: computing powers for thousands of pixels takes a millisecond."""
    import numpy as np

    return to_linear(np.arange(256))
