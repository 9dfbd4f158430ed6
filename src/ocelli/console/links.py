"""URLs of pictures, as pages of the console reach them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.domain.images import VariantStatus, VariantType

if TYPE_CHECKING:
    from ocelli.console.services import Console
    from ocelli.domain.images import Image
    from ocelli.usecases.files import Links

_LARGEST_FIRST = (VariantType.LARGE, VariantType.MEDIUM, VariantType.MEDIUM_512, VariantType.SMALL)


def picture_url(image: Image, links: Links, console: Console) -> str | None:
    """Return the URL of the largest copy that browsers show; None if none could be made."""
    urls = (links.url(image, each) for each in _LARGEST_FIRST)
    return _or_preview(next((url for url in urls if url is not None), None), image, console)


def thumbnail_url(image: Image, links: Links, console: Console) -> str | None:
    """Return the URL of a small copy; None if none could be made."""
    return _or_preview(links.url(image, VariantType.SMALL), image, console)


def _or_preview(url: str | None, image: Image, console: Console) -> str | None:
    """Until the copies are made, one is made when it is looked at."""
    if url is None and image.variant_status is not VariantStatus.FAILED:
        return f"{console.root}/pictures/{image.id}/preview"
    return local_url(url, console.prefix)


def local_url(url: str | None, prefix: str) -> str | None:
    """Return the URL as it is behind a proxy's ``prefix``; those of buckets stay as they are."""
    return prefix + url if url is not None and url.startswith("/") else url
