"""Commands of two words: ``ocelli keys``, ``credits``, ``tenants``, ``models``, ``vocab`` and
``policy``.

As in ``main``, nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - read from annotations when commands are made
from typing import Annotated

import typer

from ocelli.cli.parameters import (
    AsJson,
    AsLines,
    Data,
    Existing,
    Key,
    RunnerName,
    ServerUrl,
    exit_with,
    given,
)

keys = typer.Typer(help="API keys: create, list, revoke.", no_args_is_help=True)
models = typer.Typer(help="Models: which there are here, and getting vision-language models.")
vocab = typer.Typer(
    help="Vocabularies of a server: the terms that tags are chosen from.", no_args_is_help=True
)
policy = typer.Typer(
    help="Escalation policies of a server: second looks where they are needed.",
    no_args_is_help=True,
)
tenants = typer.Typer(
    help="Tenants: list, retention, export, erase for good.", no_args_is_help=True
)
credit = typer.Typer(help="Credits, which /api/fetch is paid with.", no_args_is_help=True)


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


@credit.command("add")
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
    """Set after how many days what is erased for good, by the next hour; what is not named stays.

    Without options it is shown.
    """
    from ocelli.cli.tenants import retention

    exit_with(retention(tenant, pictures, chats, requests, **given(data=data)))


@tenants.command("export")
def tenants_export(
    tenant: Annotated[str, typer.Argument(help="Its name, as `tenants list` shows it.")],
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
    tenant: Annotated[str, typer.Argument(help="Its name, as `tenants list` shows it.")],
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


@models.callback(invoke_without_command=True)
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


@models.command("list")
def models_list(
    as_json: AsJson = False, data: Data = None, as_lines: AsLines = False, runner: RunnerName = None
) -> None:
    """List the vision-language models that can be pulled, and those on this machine."""
    from ocelli.cli.models import show

    exit_with(show(as_json=as_json, as_lines=as_lines, **given(data=data, runner=runner)))


@models.command("check")
def models_check(
    name: Annotated[str, typer.Argument(help="A backend, a pulled model, or ocelli-local.")],
    as_json: AsJson = False,
    data: Existing = None,
    runner: RunnerName = None,
) -> None:
    """Test whether a backend sees: four generated pictures, what was asked, what it answered."""
    from ocelli.cli.sight import check

    exit_with(check(name, as_json=as_json, **given(data=data, runner=runner)))


@models.command("pull")
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


@models.command("bundle")
def models_bundle(
    name: Annotated[str, typer.Argument(help="A model on this machine.", metavar="NAME")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The tar file to write.")],
    data: Data = None,
    runner: RunnerName = None,
) -> None:
    """Write a model into one file, for `models pull --from` on a machine without a network."""
    from ocelli.cli.models import pack

    exit_with(pack(name, output, **given(data=data, runner=runner)))


@models.command("remove")
def models_remove(
    name: Annotated[str, typer.Argument(help="A model on this machine.", metavar="NAME")],
    data: Data = None,
    runner: RunnerName = None,
) -> None:
    """Remove a model from this machine, or what has come of it."""
    from ocelli.cli.models import remove

    exit_with(remove(name, **given(data=data, runner=runner)))


@models.command("verify")
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


@vocab.command("import")
def vocab_import(
    file: Annotated[Path, typer.Argument(help="Terms: text, CSV, a keyword list, JSON, XMP.")],
    name: Annotated[
        str | None, typer.Option(help="Of the vocabulary. Default: that of the file.")
    ] = None,
    format: Annotated[
        str, typer.Option(help="text, csv, lightroom, json, xmp. Default: told by its lines.")
    ] = "auto",
    as_json: AsJson = False,
    server: ServerUrl = None,
    key: Key = None,
    data: Existing = None,
) -> None:
    """Import a vocabulary, in the place of the one with this name."""
    from ocelli.cli.vocabularies import import_file

    where = {"server": server, "key": key, "data": data}
    exit_with(import_file(file, name=name, format=format, as_json=as_json, **where))


@vocab.command("list")
def vocab_list(
    name: Annotated[
        str | None, typer.Argument(help="A vocabulary, to list its terms. Default: all of them.")
    ] = None,
    as_json: AsJson = False,
    server: ServerUrl = None,
    key: Key = None,
    data: Existing = None,
) -> None:
    """List vocabularies, or the terms of one."""
    from ocelli.cli.vocabularies import show

    exit_with(show(name, as_json=as_json, server=server, key=key, data=data))


@vocab.command("test")
def vocab_test(
    name: Annotated[str, typer.Argument(help="The vocabulary.")],
    words: Annotated[
        list[str] | None, typer.Argument(help="Words or quoted sentences.", metavar="WORD")
    ] = None,
    file: Annotated[
        str | None, typer.Option(help="The id of a picture of the server, instead of words.")
    ] = None,
    mode: Annotated[str, typer.Option(help="strict, prefer or off.")] = "strict",
    as_json: AsJson = False,
    server: ServerUrl = None,
    key: Key = None,
    data: Existing = None,
) -> None:
    """Show which tags would be chosen for words or a picture, and why."""
    from ocelli.cli.vocabularies import test

    where = {"server": server, "key": key, "data": data}
    exit_with(test(name, words or None, file_id=file, mode=mode, as_json=as_json, **where))


@vocab.command("default")
def vocab_default(
    name: Annotated[
        str | None, typer.Argument(help="The vocabulary. Default: show which one it is.")
    ] = None,
    mode: Annotated[str, typer.Option(help="strict or prefer.")] = "strict",
    off: Annotated[bool, typer.Option("--off", help="Choose from none.")] = False,
    as_json: AsJson = False,
    server: ServerUrl = None,
    key: Key = None,
    data: Existing = None,
) -> None:
    """Choose tags from a vocabulary wherever a request names no other."""
    from ocelli.cli.vocabularies import default

    where = {"server": server, "key": key, "data": data}
    exit_with(default(name, mode=mode, off=off, as_json=as_json, **where))


@vocab.command("delete")
def vocab_delete(
    name: Annotated[str, typer.Argument(help="The vocabulary.")],
    server: ServerUrl = None,
    key: Key = None,
    data: Existing = None,
) -> None:
    """Delete a vocabulary; tags that were chosen from it stay."""
    from ocelli.cli.vocabularies import delete

    exit_with(delete(name, server=server, key=key, data=data))


@policy.command("set")
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


@policy.command("list")
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


@policy.command("delete")
def policy_delete(
    name: Annotated[str, typer.Argument(help="The policy.")],
    server: ServerUrl = None,
    key: Key = None,
    data: Existing = None,
) -> None:
    """Delete a policy; pictures that wait for it keep the first answer."""
    from ocelli.cli.policies import delete

    exit_with(delete(name, server=server, key=key, data=data))
