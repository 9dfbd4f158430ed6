"""``ocelli policy``: escalation policies of a running server."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - read from annotations when commands are made
from typing import Annotated

import typer

from ocelli.cli.commands.parameters import (
    AsJson,
    Existing,
    Key,
    ServerUrl,
    exit_with,
)

commands = typer.Typer(
    help="Escalation policies of a server: second looks where they are needed.",
    no_args_is_help=True,
)


@commands.command("set")
def policy_set(
    file: Annotated[Path, typer.Argument(help="A policy as JSON, such as eval --fit writes.")],
    name: Annotated[
        str | None, typer.Option(help="Of the policy. Default: that of the file.")
    ] = None,
    default: Annotated[
        bool, typer.Option("--default", help="It counts where no level and no policy is named.")
    ] = False,
    as_json: AsJson = False,
    server: ServerUrl = None,
    key: Key = None,
    data: Existing = None,
) -> None:
    """Store a policy, in the place of the one with this name."""
    from ocelli.cli.policies import store

    where = {"server": server, "key": key, "data": data}
    exit_with(store(file, name=name, is_default=default, as_json=as_json, **where))


@commands.command("list")
def policy_list(
    name: Annotated[str | None, typer.Argument(help="One of them. Default: all.")] = None,
    as_json: AsJson = False,
    server: ServerUrl = None,
    key: Key = None,
    data: Existing = None,
) -> None:
    """List policies, with what they spent this month."""
    from ocelli.cli.policies import show

    exit_with(show(name, as_json=as_json, server=server, key=key, data=data))


@commands.command("delete")
def policy_delete(
    name: Annotated[str, typer.Argument(help="The policy.")],
    server: ServerUrl = None,
    key: Key = None,
    data: Existing = None,
) -> None:
    """Delete a policy; pictures that wait for it keep the first answer."""
    from ocelli.cli.policies import delete

    exit_with(delete(name, server=server, key=key, data=data))
