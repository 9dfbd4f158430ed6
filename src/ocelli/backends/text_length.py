"""What holds for the words of every backend."""

from __future__ import annotations


def at_most(text: str, limit: int | None) -> str:
    """``text``, cut before a word if it is longer than ``limit`` characters.

    >>> at_most("A dog on a beach, running after a ball", 20)
    'A dog on a beach'
    """
    if limit is None or len(text) <= limit:
        return text
    head, space, _ = text[: limit + 1].rpartition(" ")
    cut = head if space else text[:limit]
    return cut.rstrip(" ,;:-–—(#") or text[:limit]
