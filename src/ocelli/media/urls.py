"""URLs for requests: the host is normalised and checked, path and query are kept unchanged.

The signature of a signed URL is valid only for its exact bytes.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from yarl import URL

from ocelli.domain.errors import InvalidUrl

MAX_URL = 8_000
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]")
_UNSENDABLE = re.compile(r"[^!-~]+")  # blanks and what is not ASCII: no request line holds them


def exact_url(text: str) -> URL:
    """Parse ``text`` without fragment and dot segments, else byte for byte. Raises ValueError.

    Blanks and characters beyond ASCII are percent-encoded as UTF-8.

    >>> str(exact_url("https://example.com/x/../a b.jpg?sig=a%2Fb+c%2fd|'["))
    "https://example.com/a%20b.jpg?sig=a%2Fb+c%2fd|'["
    """
    written = URL(text, encoded=True).raw_path_qs
    sent = _UNSENDABLE.sub(lambda m: quote(m[0], errors="surrogateescape"), written)
    # As a relative reference it can change nothing before the path.
    return URL(text).origin().join(URL(f".{sent}", encoded=True))


def checked_url(text: str) -> URL:
    """Return the URL as it will be fetched. Raises InvalidUrl.

    >>> str(checked_url("https://example.com/a b.jpg"))
    'https://example.com/a%20b.jpg'
    """
    if len(text) > MAX_URL:
        raise InvalidUrl(f"The URL is longer than {MAX_URL} characters.")
    if _FORBIDDEN.search(text):
        raise InvalidUrl("The URL holds control characters or a backslash.")
    text = text.strip()
    try:
        url = URL(text)
        usable = url.scheme in ("http", "https") and bool(url.host) and bool(url.port)
        exact = exact_url(text) if usable else url
    except ValueError:
        usable = False
    if not usable:
        raise InvalidUrl("This is not an http or https URL.")
    if url.user is not None or url.password is not None:
        raise InvalidUrl("A URL with a user name or a password in it is not fetched.")
    return exact


def redirected(url: URL, location: str) -> URL:
    """Return the target of a redirect, checked. Raises InvalidUrl."""
    try:
        return checked_url(str(url.join(URL(location.strip(), encoded=True))) if location else "")
    except ValueError as error:
        raise InvalidUrl("This is not an http or https URL.") from error
