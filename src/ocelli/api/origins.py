"""Whether the page that sends a request is one of ours, by its ``Origin``."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ocelli.api.proxies import parse_address

if TYPE_CHECKING:
    from starlette.requests import Request


def is_foreign_page(request: Request, public_url: str | None) -> bool:
    """Return whether a page of another host sends the request.

    Pages of the host that is asked, of ``public_url`` and of this machine are ours. Programs send
    no origin, or one that is no address of a page, such as ``app://obsidian.md``; ``null`` is a
    page that hides its own.
    """
    origin = request.headers.get("origin")
    if origin is None:
        return False
    try:
        parts = urlsplit(origin)
    except ValueError:
        return True
    if parts.scheme not in ("http", "https"):
        return not parts.scheme
    name = parts.hostname or ""
    address = parse_address(name)
    is_local = name == "localhost" or (address is not None and address.is_loopback)
    return not is_local and name not in (request.url.hostname, _host(public_url))


def _host(url: str | None) -> str | None:
    return urlsplit(url).hostname if url else None
