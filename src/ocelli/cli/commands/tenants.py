"""``ocelli tenants``, and what they have: ``keys`` and ``credits``."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - read from annotations when commands are made
from typing import Annotated

import typer

from ocelli.cli.commands.parameters import (
    AsJson,
    AsLines,
    Existing,
    exit_with,
    given,
)

tenants = typer.Typer(
    help="Tenants: list, retention, export, erase for good.", no_args_is_help=True
)
keys = typer.Typer(help="API keys: create, list, revoke.", no_args_is_help=True)
credits = typer.Typer(help="Credits, which /api/fetch is paid with.", no_args_is_help=True)
Tenant = Annotated[str, typer.Argument(help="Its name, as `tenants list` shows it.")]


@keys.command("create")
def keys_create(
    tenant: Annotated[str, typer.Option(help="Whose key; made if there is none.")] = "default",
    tier: Annotated[
        str, typer.Option(help="free, starter, professional or enterprise.")
    ] = "enterprise",
    expires: Annotated[
        str | None, typer.Option(help="When it ends, ISO 8601: 2027-01-31T00:00Z")
    ] = None,
    name: Annotated[str, typer.Option(help="What the key is for.")] = "",
    scopes: Annotated[
        str,
        typer.Option(help="What it may do: read, write, admin, usage:read, ... Comma-separated."),
    ] = "admin",
    credits: Annotated[
        int, typer.Option(min=0, help="Given to the tenant, to be spent at /api/fetch.")
    ] = 0,
    data: Existing = None,
) -> None:
    """Make a key; prints the key alone."""
    from ocelli.cli.keys import create

    exit_with(create(tenant, tier, expires, name, scopes, credits, **given(data=data)))


@keys.command("list")
def keys_list(as_json: AsJson = False, data: Existing = None, as_lines: AsLines = False) -> None:
    """List the keys: their first characters, never the keys."""
    from ocelli.cli.keys import show

    exit_with(show(as_json=as_json, as_lines=as_lines, **given(data=data)))


@keys.command("revoke")
def keys_revoke(
    key: Annotated[str, typer.Argument(help="Its prefix or id, as `keys list` shows them.")],
    data: Existing = None,
) -> None:
    """End a key."""
    from ocelli.cli.keys import revoke

    exit_with(revoke(key, **given(data=data)))


@credits.command("add")
def credits_add(
    amount: Annotated[int, typer.Argument(help="Credits; one is a cent. Negative takes away.")],
    tenant: Annotated[str, typer.Option(help="Whose.")] = "default",
    data: Existing = None,
) -> None:
    """Give credits to a tenant; prints its balance."""
    from ocelli.cli.keys import add_credits

    exit_with(add_credits(tenant, amount, **given(data=data)))


@tenants.command("list")
def tenants_list(as_json: AsJson = False, data: Existing = None, as_lines: AsLines = False) -> None:
    """List the tenants, what they have, and how long it is kept."""
    from ocelli.cli.tenants import show

    exit_with(show(as_json=as_json, as_lines=as_lines, **given(data=data)))


@tenants.command("retention")
def tenants_retention(
    tenant: Annotated[str, typer.Argument(help="Whose.")],
    pictures: Annotated[
        int | None, typer.Option(min=0, help="Days after the upload; 0: for ever.")
    ] = None,
    chats: Annotated[
        int | None, typer.Option(min=0, help="Days after the last message; 0: for ever.")
    ] = None,
    requests: Annotated[
        int | None, typer.Option(min=0, help="Days of the request log; 0: as long as it is kept.")
    ] = None,
    data: Existing = None,
) -> None:
    """Set the days after which pictures and the like are erased for good; others stay as they are.

    Without options it is shown.
    """
    from ocelli.cli.tenants import retention

    exit_with(retention(tenant, pictures, chats, requests, **given(data=data)))


@tenants.command("export")
def tenants_export(
    tenant: Tenant,
    target: Annotated[Path, typer.Argument(help="A new folder, or one of an earlier export.")],
    as_json: AsJson = False,
    data: Existing = None,
) -> None:
    """Export everything that a tenant has: originals, and lines of JSON; no secrets.

    What was cut short is done by the same command.
    """
    from ocelli.cli.tenants import export

    exit_with(export(tenant, target, as_json=as_json, **given(data=data)))


@tenants.command("erase")
def tenants_erase(
    tenant: Tenant,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for its name again.")] = False,
    as_json: AsJson = False,
    data: Existing = None,
) -> None:
    """Erase a tenant with all that it has, for good; prints the receipt.

    Its keys end at once. Killed at any moment, it is gone on with by the same command, or by the
    server.
    """
    from ocelli.cli.tenants import erase

    exit_with(erase(tenant, yes=yes, as_json=as_json, **given(data=data)))
