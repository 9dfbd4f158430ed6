"""Commands for the data of an installation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ocelli.cli.commands.parameters import (
    AsJson,
    Data,
    Existing,
    exit_with,
    given,
)
from ocelli.cli.output import WRONG_USE, fail

commands = typer.Typer()
PANEL = "Administer an installation"
Backups = Annotated[Path, typer.Argument(help="Folder of the backups.", metavar="TARGET")]


@commands.command(rich_help_panel=PANEL)
def migrate(data: Data = None) -> None:
    """Bring a database of your own up to date, as `ocelli serve` does at its start, and end."""
    from ocelli.cli.database import migrate as run

    exit_with(run(**given(data=data)))


@commands.command(rich_help_panel=PANEL)
def upgrade(
    check: Annotated[bool, typer.Option("--check", help="Say it; change nothing.")] = False,
    as_json: AsJson = False,
    data: Existing = None,
) -> None:
    """Say what this version would change in the database, and what is in its way."""
    if not check:
        fail(
            "only --check is done here: `ocelli serve` upgrades the database when it starts",
            "ocelli upgrade --check",
        )
        exit_with(WRONG_USE)
    from ocelli.cli.upgrade import check as run

    exit_with(run(as_json=as_json, **given(data=data)))


@commands.command(rich_help_panel=PANEL)
def backup(
    target: Backups,
    keep: Annotated[int, typer.Option(help="How many backups stay there.")] = 7,
    check: Annotated[
        bool, typer.Option("--verify", help="Make none: read the newest, or --at, again.")
    ] = False,
    at: Annotated[str | None, typer.Option(help="With --verify: this one, by name.")] = None,
    as_json: AsJson = False,
    data: Existing = None,
) -> None:
    """Back up database and pictures, beside a running server or without one.

    What TARGET has of an earlier backup is not copied again.
    """
    from ocelli.cli import backup as run

    if check:
        exit_with(run.verify(target, name=at, as_json=as_json))
    elif at is not None:
        fail("--at goes with --verify")
        exit_with(WRONG_USE)
    else:
        exit_with(run.back_up(target, keep=keep, as_json=as_json, **given(data=data)))


@commands.command(rich_help_panel=PANEL)
def restore(
    target: Backups,
    at: Annotated[str | None, typer.Option(help="Which, by name. Default: the newest.")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="In place of an installation, which is lost.")
    ] = False,
    data: Data = None,
) -> None:
    """Restore an installation from a backup, after reading all of it."""
    from ocelli.cli.backup import restore as run

    exit_with(run(target, name=at, replace_all=replace, **given(data=data)))
