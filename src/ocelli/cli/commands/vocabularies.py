"""``ocelli vocab``: vocabularies of a running server."""

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
    help="Vocabularies of a server: the terms that tags are chosen from.", no_args_is_help=True
)
VocabularyName = Annotated[str, typer.Argument(help="The vocabulary.")]


@commands.command("import")
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


@commands.command("list")
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


@commands.command("test")
def vocab_test(
    name: VocabularyName,
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


@commands.command("default")
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


@commands.command("delete")
def vocab_delete(
    name: VocabularyName,
    server: ServerUrl = None,
    key: Key = None,
    data: Existing = None,
) -> None:
    """Delete a vocabulary; tags that were chosen from it stay."""
    from ocelli.cli.vocabularies import delete

    exit_with(delete(name, server=server, key=key, data=data))
