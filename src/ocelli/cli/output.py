"""What commands print, and their exit codes: 0 done, 1 something failed, 2 wrong use, 3 cannot run.

People read tables and sentences, programs JSON; errors go to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

FAILED, WRONG_USE, CANNOT_RUN = 1, 2, 3
PRIVATE = 0o077  # the umask of what commands and their processes write


def fail(message: str, hint: str | None = None) -> None:
    """Print an error, and a line with a hint, to standard error."""
    _echo(f"ocelli: {message}", fg="red", err=True)
    if hint:
        _echo(f"  → {hint}", err=True)


def say_passed_over(passed_over: Mapping[str, int]) -> None:
    """Print to standard error how many files of folders are no pictures, by extension."""
    from aion._files import passed_over_text

    if text := passed_over_text(passed_over):
        _echo(f"ocelli: {printable(text)}", err=True)


def print_json(value: Any) -> None:
    """Print a value as JSON to standard output."""
    _echo(json.dumps(value, indent=2, default=str, ensure_ascii=False))


def print_records(records: Iterable[Any], *, lines: bool) -> None:
    """Print records as a JSON list, or each as a line of its own as soon as it is there."""
    if not lines:
        print_json(list(records))
        return
    for record in records:
        print_line(record)


def print_line(record: Any) -> None:
    """Print a record as one line of JSON, at once."""
    _echo(json.dumps(record, default=str, ensure_ascii=False))
    sys.stdout.flush()


def _echo(text: str, **style: Any) -> None:
    import typer  # not needed by processes that print nothing

    typer.secho(text, **style)


def printable(path: Path | str) -> str:
    """Return the path as text, with bytes that are not UTF-8 as ``\\xff``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
