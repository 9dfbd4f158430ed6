"""Commands that run Ocelli on this machine, and say how it is."""

from __future__ import annotations

from typing import Annotated

import typer

from ocelli.cli.commands.parameters import (
    AsJson,
    Data,
    Existing,
    LogLevel,
    ModelName,
    RunnerName,
    Workers,
    exit_with,
    given,
)

commands = typer.Typer()
PANEL = "Run Ocelli"


@commands.command(rich_help_panel=PANEL)
def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on. Default: 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port; 0 takes a free one. Default: 8000.")
    ] = None,
    data: Data = None,
    workers: Workers = None,
    log_level: LogLevel = None,
    model: ModelName = None,
    runner: RunnerName = None,
) -> None:
    """Run the whole system in the foreground: API, workers, Postgres."""
    from ocelli.cli.serve import serve as run

    options = given(
        host=host,
        port=port,
        data=data,
        workers=workers,
        log_level=log_level,
        model=model,
        runner=runner,
    )
    exit_with(run(**options))


@commands.command(rich_help_panel=PANEL)
def worker(
    workers: Workers = None,
    data: Data = None,
    log_level: LogLevel = None,
) -> None:
    """Run more workers, on this machine or another, for the server of a configured database.

    The data folder holds files on their way only.
    """
    from ocelli.cli.serve import work as run

    exit_with(run(**given(workers=workers, data=data, log_level=log_level)))


@commands.command(rich_help_panel=PANEL)
def console(data: Existing = None) -> None:
    """Print a link that signs the owner in to the console of the running server, once."""
    from ocelli.cli.sign_in import print_link

    exit_with(print_link(**given(data=data)))


@commands.command(rich_help_panel=PANEL)
def doctor(as_json: AsJson = False, data: Existing = None) -> None:
    """Say what is wrong with this installation, and what to do."""
    from ocelli.cli.doctor import doctor as run

    exit_with(run(as_json=as_json, **given(data=data)))


@commands.command(rich_help_panel=PANEL)
def docs(
    page: Annotated[
        str | None, typer.Argument(help="Which: settings, sdk/quick-start, ... Default: a list.")
    ] = None,
) -> None:
    """Read the documentation of this version, without a network."""
    from ocelli.cli.docs import docs as run

    exit_with(run(page))
