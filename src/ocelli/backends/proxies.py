"""The proxies of the environment (HTTPS_PROXY, NO_PROXY)."""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass


def proxy_for(url: str) -> str | None:
    """Return the proxy on the way to ``url``; None on the way to this machine.

    Not aiohttp's ``trust_env``: it reads ~/.netrc with every request, and fails where that names
    the host.
    """
    parts = urlsplit(url)
    if not parts.hostname or parts.hostname in ("localhost", "127.0.0.1", "::1"):
        return None
    return None if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme)
