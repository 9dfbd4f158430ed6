"""The markup of answers about a library: pictures and counts that a text refers to. Pure.

``[[img:ID|name]]`` is a picture, by the first ``ID_LENGTH`` characters of its id; ``[[ref:KEY]]``
is the number of what a search found. Only answers of ours hold any: texts that are quoted in them
pass ``without_markup`` first.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from uuid import UUID

ID_LENGTH = 8  # that of the prefixes that every route takes
_LONGEST_NAME = 120
_MARK = re.compile(r"\[\[(img|ref):([^\[\]|]+)(?:\|([^\[\]|]*))?\]\]")
_PIECE = re.compile(r"\s*\[\[(?:img|ref):[^\[\]]*\]\]|\s*\S+|\s+$")
_NOT_IN_A_NAME = re.compile(r"[\[\]|\x00-\x1f\x7f]+")
_BRACKETS = re.compile(r"\[(?=\[)|\](?=\])")


def picture_mark(id: UUID, name: str) -> str:
    """Return the mark of a picture; of ``name`` what would break it is left out.

    >>> from uuid import UUID
    >>> picture_mark(UUID("9b1f8f52-0000-4000-8000-000000000000"), "a]]b.png")
    '[[img:9b1f8f52|a b.png]]'
    """
    shown = " ".join(_NOT_IN_A_NAME.sub(" ", name).split())[:_LONGEST_NAME]
    return f"[[img:{id.hex[:ID_LENGTH]}|{shown or 'picture'}]]"


def count_mark(key: str) -> str:
    """Return the mark of the number of what was found under ``key``."""
    return f"[[ref:{key}]]"


def without_markup(text: str) -> str:
    """Return ``text`` so that nothing in it is a mark.

    >>> without_markup("see [[img:1|a]]")
    'see [ [img:1|a] ]'
    """
    return _BRACKETS.sub(lambda found: f"{found[0]} ", text)


def cited(text: str) -> tuple[str, ...]:
    """Return the beginnings of the ids of the pictures that ``text`` refers to, each once."""
    return tuple(dict.fromkeys(m[2] for m in _MARK.finditer(text) if m[1] == "img"))


def pieces(text: str, size: int) -> Iterator[str]:
    """Yield ``text`` in pieces of about ``size`` words; a mark is never in two of them.

    >>> list(pieces("in [[img:9b1f8f52|a b.png]] too", 2))
    ['in [[img:9b1f8f52|a b.png]]', ' too']
    """
    found = _PIECE.findall(text)
    for start in range(0, len(found), size):
        yield "".join(found[start : start + size])


def plain(text: str, counts: Mapping[str, int]) -> str:
    """Return ``text`` with names and numbers in the place of marks; a key without one stays.

    >>> plain("[[ref:search_1]] in [[img:9b1f8f52|a.png]]", {"search_1": 3})
    '3 in a.png'
    """

    def shown(found: re.Match[str]) -> str:
        kind, key, name = found.groups()
        if kind == "ref":
            return str(counts[key]) if key in counts else found[0]
        return name or key

    return _MARK.sub(shown, text)
