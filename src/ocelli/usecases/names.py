"""File names that people send: what is kept of them, and what a key is made of."""

from __future__ import annotations

import re
import unicodedata

_UNSAFE = re.compile(r"[^\w.\-]+", re.ASCII)


def clean_filename(name: str | None) -> str:
    """The last path segment without control and direction characters, at most 255 characters.

    >>> clean_filename("C:\\\\photos\\\\my cat.jpg")
    'my cat.jpg'
    >>> clean_filename(None)
    'upload'
    """
    last = re.split(r"[/\\]", name or "")[-1]
    visible = "".join(c for c in last if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co"))
    visible = re.sub(r"^[\s.]+|[\s.]+$", "", visible)
    if len(visible) <= 255:
        return visible or "upload"
    stem, dot, suffix = visible.rpartition(".")
    if not dot or len(suffix) > 10:
        return visible[:255]
    return f"{stem[: 254 - len(suffix)]}.{suffix}"


def key_name(filename: str) -> str:
    """A name that every store, file system and URL takes as it is.

    >>> key_name("my cät.jpg")
    'my_cat.jpg'
    """
    plain = unicodedata.normalize("NFKD", filename).encode("ascii", "ignore").decode()
    safe = _UNSAFE.sub("_", plain).strip("._")
    return safe[-100:].lstrip("._") or "upload"
