"""``ocelli models``: which there are here, and getting vision-language models."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - read from annotations when commands are made
from typing import Annotated

import typer

from ocelli.cli.commands.parameters import (
    AsJson,
    AsLines,
    Data,
    Existing,
    RunnerName,
    exit_with,
    given,
)

commands = typer.Typer(help="Models: which there are here, and getting vision-language models.")
PulledModel = Annotated[str, typer.Argument(help="A model on this machine.", metavar="NAME")]


@commands.callback(invoke_without_command=True)
def models_all(
    context: typer.Context,
    as_json: AsJson = False,
    backends: Annotated[
        bool, typer.Option("--backends", help="The backends of the settings alone.")
    ] = False,
) -> None:
    """Show the small local models (licence, hash, whether it loads), the vision-language models
    that can be pulled, and the backends of the settings.

    With --json the small local models, or the backends; `models list --json` has the others.
    """
    if context.invoked_subcommand is not None:
        return
    from ocelli.cli.doctor import backends as show_backends
    from ocelli.cli.doctor import models as show_models
    from ocelli.cli.models import show

    code = 0 if backends else show_models(as_json=as_json)
    if not backends and not as_json:
        code = show(as_json=False) or code
    if backends or not as_json:
        code = show_backends(as_json=as_json) or code
    exit_with(code)


@commands.command("list")
def models_list(
    as_json: AsJson = False, data: Data = None, as_lines: AsLines = False, runner: RunnerName = None
) -> None:
    """List the vision-language models that can be pulled, and those on this machine."""
    from ocelli.cli.models import show

    exit_with(show(as_json=as_json, as_lines=as_lines, **given(data=data, runner=runner)))


@commands.command("check")
def models_check(
    name: Annotated[str, typer.Argument(help="A backend, a pulled model, or ocelli-local.")],
    as_json: AsJson = False,
    data: Existing = None,
    runner: RunnerName = None,
) -> None:
    """Test whether a backend sees: four generated pictures, what was asked, what it answered."""
    from ocelli.cli.sight import check

    exit_with(check(name, as_json=as_json, **given(data=data, runner=runner)))


@commands.command("pull")
def models_pull(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Of the catalogue, or hf:OWNER/REPOSITORY:QUANT; for vLLM without :QUANT.",
            metavar="NAME",
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--from", help="A folder with its files, or a bundle, instead of the hub."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Although this machine has too little memory for it.")
    ] = False,
    data: Data = None,
    runner: RunnerName = None,
) -> None:
    """Get a vision-language model: HF_ENDPOINT, HF_TOKEN and proxies count.

    A download that was cut goes on where it stopped.
    """
    from ocelli.cli.models import fetch

    exit_with(fetch(name, source=source, force=force, **given(data=data, runner=runner)))


@commands.command("bundle")
def models_bundle(
    name: PulledModel,
    output: Annotated[Path, typer.Option("--output", "-o", help="The tar file to write.")],
    data: Data = None,
    runner: RunnerName = None,
) -> None:
    """Write a model into one file, for `models pull --from` on a machine without a network."""
    from ocelli.cli.models import pack

    exit_with(pack(name, output, **given(data=data, runner=runner)))


@commands.command("remove")
def models_remove(
    name: PulledModel,
    data: Data = None,
    runner: RunnerName = None,
) -> None:
    """Remove a model from this machine, or what has come of it."""
    from ocelli.cli.models import remove

    exit_with(remove(name, **given(data=data, runner=runner)))


@commands.command("verify")
def models_verify(
    name: Annotated[
        str | None, typer.Argument(help="A model on this machine. Default: all.", metavar="NAME")
    ] = None,
    as_json: AsJson = False,
    data: Data = None,
    runner: RunnerName = None,
) -> None:
    """Compare every file of the pulled models with its hash."""
    from ocelli.cli.models import verify

    exit_with(verify(name, as_json=as_json, **given(data=data, runner=runner)))
