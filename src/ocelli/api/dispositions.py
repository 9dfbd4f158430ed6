"""Headers with parameters as clients write them: quoted, extended (RFC 8187), or encoded words."""

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
    """The headers of ``text``; lines may be folded, and end in CR LF or LF."""
    return _parser.parsestr(text)


def header_params(headers: Message, name: str) -> tuple[str, dict[str, str]]:
    """The value of a header in lower case, and its parameters; ("", {}) where it is missing.

    Of a parameter that is given twice the extended form counts, if it can be read.

    >>> header_params(parse_headers("X: form-data; filename=a; filename*=utf-8''%C3%A4"), "x")
    ('form-data', {'filename': 'ä'})
    """
    found: list[tuple[str, Any]] = headers.get_params([("", "")], name)
    (value, _), *given = found
    params: dict[str, str] = {}
    for key, said in given:
        if isinstance(said, str):
            params.setdefault(key.lower(), _decoded_words(said))
    for key, said in given:
        if not isinstance(said, str):
            text = _decoded_bytes(said[2], said[0] or "utf-8")
            if text is not None:
                params[key.lower()] = text
            else:
                params.setdefault(key.lower(), said[2])
    return value.lower(), params


def _decoded_bytes(octets: str, charset: str) -> str | None:
    try:
        return octets.encode("latin-1").decode(charset)
    except (UnicodeError, LookupError):
        return None


def _decoded_words(text: str) -> str:
    """Undo RFC 2047, which old clients use here too."""
    if not _ENCODED_WORDS.fullmatch(text):
        return text
    try:
        return str(make_header(decode_header(text)))
    except (UnicodeError, LookupError, HeaderParseError):
        return text
