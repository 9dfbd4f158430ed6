"""Descriptions on a terminal: a progress bar, then a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ocelli.cli.console import BAD, console
from ocelli.cli.output import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocelli.cli.describer import DescribedFile

MAX_TEXT_LENGTH = 60
MAX_TAGS = 8


def show(results: Iterator[DescribedFile], total: int) -> None:
    """Consume ``results``, then print them in the order of their names."""
    columns = (
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    rows = []
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("loading models", total=total)
        for row in results:
            rows.append(row)
            progress.update(task, advance=1, description="describing")
    console().print(table(sorted(rows, key=lambda row: row.path)))


def table(rows: list[DescribedFile]) -> Table:
    """Return the table: file, description, tags, text, confidence, ms."""
    grid = Table(show_lines=True)
    grid.add_column("file", style="bold", overflow="fold", max_width=20)
    grid.add_column("description", ratio=5)
    grid.add_column("tags", ratio=3, style="cyan")
    grid.add_column("text", ratio=3, style="green")
    for name in ("confidence", "ms"):
        grid.add_column(name, justify="right", no_wrap=True, min_width=len(name))
    for row in rows:
        grid.add_row(*_cells(row))
    return grid


def clipped(visible_text: str | None) -> str:
    """Return the text of a picture for one line of a table."""
    text = (visible_text or "").replace("\n", " / ")
    return text if len(text) <= MAX_TEXT_LENGTH else f"{text[:MAX_TEXT_LENGTH]}…"


def _cells(row: DescribedFile) -> list[str | Text]:
    found = row.answer
    name = printable(row.path.name)
    if found is None:
        return [name, Text(row.error or "", BAD), "", "", "", ""]
    return [
        name,
        found.description or "",
        ", ".join(found.tags[:MAX_TAGS]),
        clipped(found.visible_text),
        "" if found.confidence is None else f"{found.confidence:.2f}",
        "" if row.milliseconds is None else f"{row.milliseconds:.0f}",
    ]
