"""Files inside JSON."""

from __future__ import annotations

import re

import pybase64

_SCHEME = re.compile(r"\s*data:[^,]{0,256},", re.IGNORECASE)


def decode_base64(text: str) -> bytes:
    """The bytes of a data URL or of base64 alone.

    Tolerant: any or no MIME type, line breaks, the URL alphabet, missing padding. Raises
    ValueError with words for the sender.
    """
    head = _SCHEME.match(text, 0, 300)
    if head is not None and ";base64" not in head.group().lower():
        raise ValueError("A data URL must be in base64 (`data:image/png;base64,...`).")
    body = text[head.end() :] if head else text
    try:
        compact = body.encode("ascii")
    except UnicodeEncodeError:
        raise ValueError("This is not base64: it holds other characters.") from None
    if b"-" in compact or b"_" in compact:
        compact = compact.translate(_TO_STANDARD)
    compact = compact.translate(None, b" \t\r\n").rstrip(b"=")
    try:
        return pybase64.b64decode(compact + b"=" * (-len(compact) % 4), validate=True)
    except ValueError:
        raise ValueError("This is not base64: it is damaged or cut off.") from None


_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
