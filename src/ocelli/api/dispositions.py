"""Parse headers with parameters: quoted, extended (RFC 8187), or encoded words."""

from __future__ import annotations

import re
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.parser import HeaderParser
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from email.message import Message

_ENCODED_WORDS = re.compile(r"\s*(=\?[\w.+*-]+\?[bq]\?[^?\s]*\?=\s*)+", re.IGNORECASE)
_parser = HeaderParser()


def parse_headers(text: str) -> Message:
    """Parse headers; lines may be folded, and end in CR LF or LF."""
    return _parser.parsestr(text)


def header_params(headers: Message, name: str) -> tuple[str, dict[str, str]]:
    """Return the value of a header in lower case, and its parameters; ("", {}) without the header.

    If a parameter is given twice, the extended form wins, if it can be decoded.

    >>> header_params(parse_headers("X: form-data; filename=a; filename*=utf-8''%C3%A4"), "x")
    ('form-data', {'filename': 'ä'})
    """
    found: list[tuple[str, Any]] = headers.get_params([("", "")], name)
    (value, _), *parameters = found
    params: dict[str, str] = {}
    for key, value_ in parameters:
        if isinstance(value_, str):
            params.setdefault(key.lower(), _decoded_words(value_))
    for key, value_ in parameters:
        if not isinstance(value_, str):
            text = _decoded_bytes(value_[2], value_[0] or "utf-8")
            if text is not None:
                params[key.lower()] = text
            else:
                params.setdefault(key.lower(), value_[2])
    return value.lower(), params


def _decoded_bytes(octets: str, charset: str) -> str | None:
    try:
        return octets.encode("latin-1").decode(charset)
    except (UnicodeError, LookupError):
        return None


def _decoded_words(text: str) -> str:
    """Decode encoded words (RFC 2047), which old clients use here."""
    if not _ENCODED_WORDS.fullmatch(text):
        return text
    try:
        return str(make_header(decode_header(text)))
    except (UnicodeError, LookupError, HeaderParseError):
        return text
