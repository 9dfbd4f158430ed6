"""``ocelli docs``: the pages of the documentation, which the wheel carries."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

from ocelli.cli.output import WRONG_USE, fail

CARRIED = Path(__file__).parents[1] / "docs"
CHECKOUT = Path(__file__).parents[3] / "docs"


def docs(name: str | None) -> int:
    """Print a page, or the names and titles of all without ``name``. Return the exit code."""
    pages = _pages()
    if name is None:
        width = max(map(len, pages), default=0)
        for each, page in pages.items():
            print(f"{each:{width}}  {_title(page)}")
        return 0
    wanted = name.removeprefix("docs/").removesuffix(".md")
    found = pages.get(wanted) or pages.get(_with_number(wanted, pages))
    if found is None:
        similar = difflib.get_close_matches(wanted, pages, n=3, cutoff=0.4)
        fail(f"no such page: {name}", " · ".join(f"ocelli docs {each}" for each in similar))
        return WRONG_USE
    _show(found.read_text(encoding="utf-8"))
    return 0


def _pages() -> dict[str, Path]:
    """Return the pages by name: ``settings``, ``sdk/quick-start``; decisions come last."""
    folder = CARRIED if CARRIED.is_dir() else CHECKOUT
    names = (each.relative_to(folder).with_suffix("").as_posix() for each in folder.rglob("*.md"))
    ordered = sorted(names, key=lambda name: (name.startswith("decisions/"), "/" in name, name))
    return {name: folder / f"{name}.md" for name in ordered}


def _with_number(number: str, pages: dict[str, Path]) -> str:
    """Return the name of the decision with this number: ``11`` and ``0011`` name the same."""
    start = f"decisions/{number:0>4}-"
    return next((name for name in pages if name.startswith(start)), "")


def _title(page: Path) -> str:
    with page.open(encoding="utf-8") as lines:
        return next(lines, "").lstrip("# ").rstrip()


def _show(text: str) -> None:
    """Print Markdown: drawn on a terminal, as it is written elsewhere."""
    if not sys.stdout.isatty():
        sys.stdout.write(text)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    with console.pager(styles=True):
        console.print(Markdown(text))
