"""The check of docstrings and comments that ``make check`` runs."""

from __future__ import annotations

import pytest
from tools.prose import vague_words


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('"""Nobody asks."""', [(1, "Nobody")]),
        ('def f():\n    """Waits.\n\n    For whoever comes.\n    """', [(4, "whoever")]),
        ('x: int\n"""What everybody\'s share is."""', [(2, "everybody")]),
        ('"""Runs as ``nobody``."""', []),
        ('"""A body."""\nname = "nobody"  # as in passwd', []),
        ("x = 1  # nobody waits\n", [(1, "nobody")]),
        ("# Runs as ``nobody``.\nx = 1\n", []),
        ('def f():\n    """Likewise."""\n', [(2, "Likewise")]),
    ],
)
def test_vague_words(source: str, found: list[tuple[int, str]]) -> None:
    assert list(vague_words(source)) == found
