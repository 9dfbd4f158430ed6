"""URLs of pictures, as pages of the console reach them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.domain.images import VariantType

if TYPE_CHECKING:
    from ocelli.domain.images import Image
    from ocelli.usecases.files import Links

_LARGEST_FIRST = (VariantType.LARGE, VariantType.MEDIUM, VariantType.MEDIUM_512, VariantType.SMALL)


def picture_url(image: Image, links: Links, prefix: str) -> str | None:
    """Return the URL of the largest copy that browsers show; None while there is none."""
    urls = (links.url(image, each) for each in _LARGEST_FIRST)
    return local_url(next((url for url in urls if url is not None), None), prefix)


def thumbnail_url(image: Image, links: Links, prefix: str) -> str | None:
    """Return the URL of a small copy; None while there is none."""
    return local_url(links.url(image, VariantType.SMALL), prefix)


def local_url(url: str | None, prefix: str) -> str | None:
    """Return the URL as it is behind a proxy's ``prefix``; those of buckets stay as they are."""
    return prefix + url if url is not None and url.startswith("/") else url
