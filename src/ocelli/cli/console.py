"""Where commands print for people."""

from __future__ import annotations

from rich.console import Console

PIPED_WIDTH = 140
GOOD, BAD = "green", "red"


def console() -> Console:
    """Return standard output as a console that prints every text as it is.

    Names of files, answers and messages may hold what rich takes for markup (`[backends.a]`) or for
    the name of an emoji (`:cat:`). Style is given as `rich.text.Text`.
    """
    plain = Console(markup=False, emoji=False, highlight=False)
    if not plain.is_terminal:
        plain.width = PIPED_WIDTH
    return plain
