"""Data URLs, and bare base64, in the spellings that clients use."""

from __future__ import annotations

import binascii
import re

import pybase64

from ocelli.domain.errors import ValidationFailed
from ocelli.media.sniff import sniff

_NOISE = re.compile(r"\s+")
_STANDARD = str.maketrans("-_", "+/")
# What the first bytes of JPEG, PNG, WebP and GIF look like in base64; those of the other formats
# are not at a place of their own there.
_STARTS = ("/9j/", "_9j_", "iVBOR", "UklGR", "R0lGOD")
_HEAD = 88  # letters; the formats are known by the 66 bytes that they hold


class NotBase64(ValueError):
    """The text is not valid base64."""


def is_data_url(url: str) -> bool:
    """Return whether the text begins with ``data:``."""
    return url[:5].lower() == "data:"


def is_bare_base64(url: str) -> bool:
    """Return whether the text is a picture in base64 without ``data:``."""
    if url.startswith(_STARTS):
        return True
    try:
        sniff(decode_data_url(url[:_HEAD]))
    except (NotBase64, ValidationFailed):
        return False
    return True


def declares_base64(head: str) -> bool:
    """Return whether the head of a data URL, before the comma, declares base64.

    >>> declares_base64("data:image/png;name=a.png; BASE64"), declares_base64("data:image/svg+xml")
    (True, False)
    """
    return any(part.strip().lower() == "base64" for part in head.split(";")[1:])


def decode_data_url(url: str) -> bytes:
    """Decode a data URL, or bare base64. Raises NotBase64.

    The declared type is not looked at: it is often wrong or missing. Parameters before
    ``;base64``, white space, the URL-safe alphabet, percent-encoding of the signs of base64 and
    missing padding are all met in the wild.
    """
    text = url
    if is_data_url(url):
        head, comma, text = url.partition(",")
        if not comma or not declares_base64(head):
            raise NotBase64("a data URL must read data:image/...;base64,...")
    try:
        return pybase64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return _tolerant(text)


def _tolerant(text: str) -> bytes:
    if "%" in text:
        from urllib.parse import unquote

        text = unquote(text)
    text = _NOISE.sub("", text).translate(_STANDARD).rstrip("=")
    try:
        return pybase64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotBase64("not base64") from error
