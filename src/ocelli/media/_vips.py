"""libvips, configured once per process for a server."""

from __future__ import annotations

import logging
import threading
from functools import cache
from typing import TYPE_CHECKING, Any

from ocelli.domain.images import ImageFormat

if TYPE_CHECKING:
    import pyvips

_configuring = threading.Lock()

# The class that may be used of all the loaders in the library, and its operation.
_LOADERS = {
    ImageFormat.JPEG: ("VipsForeignLoadJpeg", "jpegload_source"),
    ImageFormat.PNG: ("VipsForeignLoadPng", "pngload_source"),
    ImageFormat.WEBP: ("VipsForeignLoadWebp", "webpload_source"),
    ImageFormat.GIF: ("VipsForeignLoadNsgif", "gifload_source"),
    ImageFormat.AVIF: ("VipsForeignLoadHeif", "heifload_source"),
    ImageFormat.TIFF: ("VipsForeignLoadTiff", "tiffload_source"),
}


def vips() -> Any:
    """The pyvips module, imported and configured on first use.

    Under a lock: ``cache`` alone would let a second thread configure it again, and while it does,
    every loader is blocked for a moment and good pictures are refused.

    One thread per picture: processes are what fills the cores (this overrides VIPS_CONCURRENCY).
    No operation cache: no operation is ever repeated, and a cache would keep pictures alive.
    Only the loaders of ``_LOADERS`` work afterwards, in the whole process.
    Import it after forking: libvips has threads.
    """
    with _configuring:
        return _configured()


@cache
def _configured() -> Any:
    # pyvips sends what libvips prints to this logger: chatter at INFO, complaints about other
    # people's metadata at WARNING. What matters is raised.
    logging.getLogger("pyvips").setLevel(logging.ERROR)
    import pyvips

    pyvips.concurrency_set(1)
    pyvips.cache_set_max(0)
    pyvips.block_untrusted_set(True)
    pyvips.operation_block_set("VipsForeignLoad", True)
    for loader, _ in _LOADERS.values():
        pyvips.operation_block_set(loader, False)
    return pyvips


def open_source(source: pyvips.Source, format: ImageFormat, **options: Any) -> pyvips.Image:
    """Open (not decode) the first frame of ``source`` with the loader of ``format``, lazily.

    The loader is never guessed: libvips would read some JPEGs as HDR pictures. Raises pyvips.Error.
    """
    _, operation = _LOADERS[format]
    return getattr(vips().Image, operation)(source, access="sequential", **options)


def field(image: pyvips.Image, name: str) -> Any:
    """Return a field of the metadata; None if it is absent or not valid text."""
    try:
        return image.get(name) if image.get_typeof(name) else None
    except UnicodeDecodeError:
        return None
