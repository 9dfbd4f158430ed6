"""The pixels of HEIC files, by libheif and libde265, which only decode (``pi-heif``)."""

from __future__ import annotations

from typing import Any


class Damaged(ValueError):
    """The decoder does not get through the file."""


def pixels(data: bytes) -> tuple[Any, bytes | None]:
    """Return the pixels, upright: (height, width, 3 or 4), uint8; and the colour profile, if any.

    Raises Damaged, MemoryError. Call it in a child process, see ``isolation``.
    """
    import numpy as np
    import pi_heif

    options = pi_heif.options
    options.DECODE_THREADS = 1
    options.THUMBNAILS = options.DEPTH_IMAGES = options.AUX_IMAGES = False
    try:
        file = pi_heif.open_heif(data, convert_hdr_to_8bit=True)
        # A copy, as the memory goes with ``file``; and its rows may be longer than it is wide.
        made = np.array(np.asarray(file)[:, : file.size[0]])
    except (ValueError, RuntimeError, EOFError, SyntaxError, OSError) as error:
        raise Damaged(str(error)) from error
    if made.dtype != np.uint8:  # grey of more bits is left as it is
        made = (made >> 8).astype(np.uint8)
    if made.ndim == 2:
        made = np.repeat(made[..., None], 3, axis=2)
    return made, file.info.get("icc_profile")
