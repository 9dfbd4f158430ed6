"""``ocelli docs``: the pages of the documentation, which the wheel carries."""

from __future__ import annotations

import difflib
import os
import sys
from typing import TYPE_CHECKING

from ocelli.cli.output import WRONG_USE, fail
from ocelli.documentation import pages, title

if TYPE_CHECKING:
    from pathlib import Path


def docs(name: str | None) -> int:
    """Print a page, or the names and titles of all without ``name``. Return the exit code."""
    known = pages()
    if name is None:
        width = max(map(len, known), default=0)
        for each, page in known.items():
            print(f"{each:{width}}  {title(page.read_text(encoding='utf-8'))}")
        return 0
    wanted = name.removeprefix("docs/").removesuffix(".md")
    found = known.get(wanted) or known.get(_with_number(wanted, known))
    if found is None:
        similar = difflib.get_close_matches(wanted, known, n=3, cutoff=0.4)
        fail(
            f"no such page: {name}",
            " · ".join(f"ocelli docs {each}" for each in similar) or "`ocelli docs` lists them",
        )
        return WRONG_USE
    _show(found.read_text(encoding="utf-8"))
    return 0


def _with_number(number: str, known: dict[str, Path]) -> str:
    """Return the name of the decision with this number: ``11`` and ``0011`` name the same."""
    start = f"decisions/{number:0>4}-"
    return next((name for name in known if name.startswith(start)), "")


def _show(text: str) -> None:
    """Print Markdown: drawn on a terminal, as it is written elsewhere."""
    if not sys.stdout.isatty():
        sys.stdout.write(text)
        return
    from rich.markdown import Markdown

    from ocelli.cli.console import console

    os.environ.setdefault("LESS", "-R")  # else it shows the codes of colours as they are
    terminal = console()
    with terminal.pager(styles=True):
        terminal.print(Markdown(text))
