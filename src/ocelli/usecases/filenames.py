"""File names of uploads: cleaned for display, and reduced for object keys."""

from __future__ import annotations

import re
import unicodedata

# Controls, ends of lines, halves of characters, and Unicode's Bidi_Control: what changes the
# direction in which letters are shown.
_CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_UNSAFE = re.compile(r"[^\w.\-]+", re.ASCII)


def clean_filename(name: str | None) -> str:
    """Return the last path segment without control and direction characters, at most 255 long.

    Joiners stay: words of Persian or Hindi, and emoji, are made with them.

    >>> clean_filename("C:\\\\photos\\\\my cat.jpg")
    'my cat.jpg'
    >>> clean_filename(None)
    'upload'
    """
    last = re.split(r"[/\\]", name or "")[-1]
    visible = _CONTROLS.sub("", last)
    visible = re.sub(r"^[\s.]+|[\s.]+$", "", visible)
    if len(visible) <= 255:
        return visible or "upload"
    stem, dot, suffix = visible.rpartition(".")
    if not dot or len(suffix) > 10:
        return visible[:255]
    return f"{stem[: 254 - len(suffix)]}.{suffix}"


def key_name(filename: str) -> str:
    """Return an ASCII form of a name, which needs no escaping in stores, file systems and URLs.

    >>> key_name("my cät.jpg")
    'my_cat.jpg'
    """
    plain = unicodedata.normalize("NFKD", filename).encode("ascii", "ignore").decode()
    safe = _UNSAFE.sub("_", plain).strip("._")
    return safe[-100:].lstrip("._") or "upload"
