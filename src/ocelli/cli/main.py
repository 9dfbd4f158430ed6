"""``ocelli``: commands for people (rich) and for programs (``--json``).

Exit codes: 0 done, 1 something failed (a picture, a check), 2 wrong use, 3 cannot run here.
Nothing heavy is imported before a command needs it: ``--help`` is quick.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

from ocelli.distribution import (
    PACKAGES,
    conflicting_distributions,
    pip_install,
    shadowed_packages,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

FAILED, WRONG_USE, CANNOT_RUN = 1, 2, 3
PRIVATE = 0o077  # as a umask

app = typer.Typer(
    name="ocelli",
    help="Image understanding on your own machine: descriptions, tags, visible text, "
    "colours, faces, safety.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
keys = typer.Typer(help="API keys: create, list, revoke.", no_args_is_help=True)
app.add_typer(keys, name="keys")
models = typer.Typer(help="Models: which there are here, and getting vision-language models.")
app.add_typer(models, name="models")
vocab = typer.Typer(
    help="Vocabularies of a server: the terms that tags are chosen from.", no_args_is_help=True
)
app.add_typer(vocab, name="vocab")
credit = typer.Typer(help="Credits, which /api/fetch is paid with.", no_args_is_help=True)
app.add_typer(credit, name="credits")

Data = Annotated[
    Path | None,
    typer.Option("--data", help="Folder for everything that Ocelli keeps. Default: .ocelli"),
]
Existing = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of an `ocelli serve`; nothing is made. Default: .ocelli"),
]
ModelName = Annotated[
    str | None,
    typer.Option("--model", help="A vision-language model to run: see `ocelli models list`."),
]
LogLevel = Annotated[str | None, typer.Option(help="debug, info, warning or error. Default: info.")]
ServerUrl = Annotated[
    str | None,
    typer.Option(
        "--server",
        envvar="AIONVISION_BASE_URL",
        metavar="URL",
        help="Which server. Default: the one that runs on the data folder.",
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        envvar="AIONVISION_API_KEY",
        help="API key. Default, for the server that runs on the data folder: its first.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
AsLines = Annotated[
    bool, typer.Option("--jsonl", help="Print one JSON object a line, for programs.")
]
Level = Annotated[str, typer.Option(help="Verification: quick, standard, thorough or critical.")]
DateFrom = Annotated[str | None, typer.Option(help="Not older: 2026-05-10")]
DateTo = Annotated[str | None, typer.Option(help="Not newer; the day is included.")]


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.")] = None,
    data: Data = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes. Default: cores.")] = None,
    log_level: LogLevel = None,
    model: ModelName = None,
) -> None:
    """Run the whole system in the foreground: API, workers, Postgres."""
    from ocelli.cli.serve import serve as run

    given = _given(
        host=host, port=port, data=data, workers=workers, log_level=log_level, model=model
    )
    _exit(run(**given))


@app.command()
def worker(
    workers: Annotated[int | None, typer.Option(help="Worker processes. Default: cores.")] = None,
    data: Data = None,
    log_level: LogLevel = None,
) -> None:
    """Run more workers, on this machine or another, for the server of a configured database.

    The data folder holds files on their way only.
    """
    from ocelli.cli.serve import work as run

    _exit(run(**_given(workers=workers, data=data, log_level=log_level)))


@app.command()
def describe(
    paths: Annotated[list[Path], typer.Argument(help="Pictures and folders.", metavar="PATH")],
    as_json: AsJson = False,
    workers: Annotated[int | None, typer.Option(help="Worker processes. Default: cores.")] = None,
    level: Level = "standard",
    model: ModelName = None,
    as_lines: AsLines = False,
) -> None:
    """Describe pictures without a server."""
    from ocelli.cli.describe import describe as run

    options = _given(workers=workers, model=model)
    _exit(run(paths, as_json=as_json, as_lines=as_lines, level=level, **options))


@app.command("eval")
def evaluate(
    folder: Annotated[Path, typer.Argument(help="Pictures.", metavar="DIR")],
    labels: Annotated[Path, typer.Option(help="What is in them: one JSON object a line.")],
    level: Annotated[
        list[str] | None, typer.Option(help="Levels to measure, several times. Default: all.")
    ] = None,
    backend: Annotated[str | None, typer.Option(help="Which. Default: the default one.")] = None,
    fit: Annotated[
        Path | None,
        typer.Option(help="Fit the calibration and write it there: OCELLI_CALIBRATION uses it."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write a reliability diagram there, as PNG.")
    ] = None,
    as_json: AsJson = False,
    model: ModelName = None,
) -> None:
    """Measure descriptions, claims and confidence on labelled pictures of your own."""
    from ocelli.cli.evaluate import Options
    from ocelli.cli.evaluate import evaluate as run
    from ocelli.domain.analysis import VerificationLevel

    try:
        levels = [VerificationLevel(each) for each in level or VerificationLevel]
    except ValueError as error:
        fail(str(error), f"levels are {', '.join(VerificationLevel)}")
        _exit(2)
    _exit(run(Options(folder, labels, levels, backend, fit, plot, as_json), **_given(model=model)))


@app.command()
def upload(
    paths: Annotated[list[Path], typer.Argument(help="Pictures and folders.", metavar="PATH")],
    server: ServerUrl = None,
    key: Key = None,
    data: Existing = None,
    level: Annotated[
        str | None,
        typer.Option(
            help="Verification: quick, standard, thorough or critical. Pictures that the server "
            "has at another level are described again."
        ),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Whether to wait for the descriptions.")
    ] = True,
    as_json: AsJson = False,
    as_lines: AsLines = False,
) -> None:
    """Upload pictures and folders to a server, and wait for their descriptions.

    What the server has already is not sent; what of it has no description is described again.
    """
    from ocelli.cli.upload import upload as run

    _exit(
        run(
            paths,
            server=server,
            key=key,
            level=level,
            wait=wait,
            as_json=as_json,
            as_lines=as_lines,
            data=data,
        )
    )


@app.command()
def verify(
    picture: Annotated[str, typer.Argument(help="A file, or an http address.", metavar="PICTURE")],
    statement: Annotated[
        str, typer.Argument(help="What is to be true of it: 'There are two cups.'", metavar="TEXT")
    ],
    level: Level = "standard",
    backend: Annotated[
        list[str] | None,
        typer.Option(help="By which, several times for several. Default: the server's own."),
    ] = None,
    server: ServerUrl = None,
    key: Key = None,
    data: Existing = None,
    as_json: AsJson = False,
) -> None:
    """Ask a server whether a text is true of a picture, which goes into no library.

    Ends with 0 if it is, with 1 if that is not shown.
    """
    from ocelli.cli.verify import verify as run

    _exit(
        run(
            picture,
            statement,
            level=level,
            backends=backend,
            server=server,
            key=key,
            data=data,
            as_json=as_json,
        )
    )


@app.command()
def search(
    words: Annotated[
        list[str] | None, typer.Argument(help="Words to find. Default: all.", metavar="WORDS")
    ] = None,
    search_mode: Annotated[
        str, typer.Option(help="Where to search: all, metadata or visible_text.")
    ] = "all",
    tags: Annotated[
        list[str] | None, typer.Option(help="Only with this tag; several times: with all.")
    ] = None,
    date_from: DateFrom = None,
    date_to: DateTo = None,
    has_description: Annotated[
        bool | None,
        typer.Option(
            "--has-description/--no-has-description", help="Only with, or only without one."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    server: ServerUrl = None,
    key: Key = None,
    data: Existing = None,
    as_json: AsJson = False,
    as_lines: AsLines = False,
) -> None:
    """Find pictures of a server, newest first."""
    from ocelli.cli.search import search as run

    filters = _given(
        search=" ".join(words or ()) or None,
        search_mode=search_mode,
        tags=tags,
        date_from=date_from,
        date_to=date_to,
        has_description=has_description,
    )
    _exit(
        run(
            filters,
            limit=limit,
            server=server,
            key=key,
            data=data,
            as_json=as_json,
            as_lines=as_lines,
        )
    )


@app.command()
def export(
    target: Annotated[
        Path | None, typer.Argument(help="Where to. Default: standard output.", metavar="FILE")
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(help="csv, json or jsonl. Default: as the file is called, else jsonl."),
    ] = None,
    search: Annotated[
        list[str] | None, typer.Option(help="Only with this in it; several times: with all.")
    ] = None,
    date_from: DateFrom = None,
    date_to: DateTo = None,
    min_confidence: Annotated[
        float | None, typer.Option(min=0, max=1, help="Only from this confidence on.")
    ] = None,
    include_failed: Annotated[
        bool, typer.Option("--include-failed", help="Also pictures that could not be described.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
    server: ServerUrl = None,
    key: Key = None,
    data: Existing = None,
) -> None:
    """Write the descriptions of a server into a file, newest first; at most 100,000."""
    from ocelli.cli.search import export as run

    filters = _given(
        search=search,
        start_date=date_from,
        end_date=date_to,
        min_confidence=min_confidence,
        include_failed=include_failed,
        limit=limit,
    )
    _exit(run(target, filters, format=format, server=server, key=key, data=data))


@app.command()
def status(
    id: Annotated[
        str | None,
        typer.Argument(help="Of a session or a batch job. Default: the newest sessions."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many sessions.")] = 20,
    server: ServerUrl = None,
    key: Key = None,
    data: Existing = None,
    as_json: AsJson = False,
    as_lines: AsLines = False,
) -> None:
    """Show how far uploads and batch jobs of a server have come."""
    from ocelli.cli.status import status as run

    _exit(
        run(
            id,
            limit=limit,
            server=server,
            key=key,
            data=data,
            as_json=as_json,
            as_lines=as_lines,
        )
    )


@app.command()
def cancel(
    id: Annotated[str, typer.Argument(help="Of a session or a batch job: see `ocelli status`.")],
    server: ServerUrl = None,
    key: Key = None,
    data: Existing = None,
    as_json: AsJson = False,
) -> None:
    """End what of a session or a batch job has not begun; what is done stays."""
    from ocelli.cli.status import cancel as run

    _exit(run(id, server=server, key=key, data=data, as_json=as_json))


@app.command()
def redescribe(
    level: Level = "standard",
    backend: Annotated[
        list[str] | None,
        typer.Option(help="By which, several times for several. Default: the server's own."),
    ] = None,
    role: Annotated[str | None, typer.Option(help="For whom, such as alttext.")] = None,
    language: Annotated[str | None, typer.Option(help="Such as German, or de.")] = None,
    prompt: Annotated[str | None, typer.Option(help="What to say instead.")] = None,
    search: Annotated[str | None, typer.Option(help="Only what these words find.")] = None,
    search_mode: Annotated[
        str | None, typer.Option(help="Where to search: all, metadata or visible_text.")
    ] = None,
    tags: Annotated[
        list[str] | None, typer.Option(help="Only with this tag; several times: with all.")
    ] = None,
    date_from: DateFrom = None,
    date_to: DateTo = None,
    has_description: Annotated[
        bool | None,
        typer.Option(
            "--has-description/--no-has-description", help="Only with, or only without one."
        ),
    ] = None,
    ids: Annotated[list[str] | None, typer.Option(help="Only this picture; several times.")] = None,
    server: ServerUrl = None,
    key: Key = None,
    data: Existing = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Whether to wait for the descriptions.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Describe pictures of a server again: those that match all filters, without filters all.

    The filters are those of `GET /user-files`. Earlier descriptions are kept as history.
    """
    from ocelli.cli.redescribe import redescribe as run

    options = _given(
        providers=backend,
        role=role,
        language=language,
        prompt=prompt,
        search=search,
        search_mode=search_mode,
        tags=tags,
        date_from=date_from,
        date_to=date_to,
        has_description=has_description,
        ids=ids,
    )
    options["verification_level"] = level
    _exit(run(options, server=server, key=key, data=data, wait=wait, as_json=as_json))


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

    _exit(create(tenant, tier, expires, name, scopes, credits, **_given(data=data)))


@keys.command("list")
def keys_list(as_json: AsJson = False, data: Existing = None, as_lines: AsLines = False) -> None:
    """List the keys: their first characters, never the keys."""
    from ocelli.cli.keys import show

    _exit(show(as_json=as_json, as_lines=as_lines, **_given(data=data)))


@keys.command("revoke")
def keys_revoke(
    key: Annotated[str, typer.Argument(help="Its prefix or id, as `keys list` shows them.")],
    data: Existing = None,
) -> None:
    """End a key."""
    from ocelli.cli.keys import revoke

    _exit(revoke(key, **_given(data=data)))


@credit.command("add")
def credits_add(
    amount: Annotated[int, typer.Argument(help="Credits; one is a cent. Negative takes away.")],
    tenant: Annotated[str, typer.Option(help="Whose.")] = "default",
    data: Existing = None,
) -> None:
    """Give credits to a tenant; prints its balance."""
    from ocelli.cli.keys import add_credits

    _exit(add_credits(tenant, amount, **_given(data=data)))


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
    _exit(code)


@models.command("list")
def models_list(as_json: AsJson = False, data: Data = None, as_lines: AsLines = False) -> None:
    """List the vision-language models that can be pulled, and those on this machine."""
    from ocelli.cli.models import show

    _exit(show(as_json=as_json, as_lines=as_lines, **_given(data=data)))


@models.command("check")
def models_check(
    name: Annotated[str, typer.Argument(help="A backend, a pulled model, or ocelli-local.")],
    as_json: AsJson = False,
    data: Existing = None,
) -> None:
    """Test whether a backend sees: four generated pictures, what was asked, what it answered."""
    from ocelli.cli.sight import check

    _exit(check(name, as_json=as_json, **_given(data=data)))


@models.command("pull")
def models_pull(
    name: Annotated[
        str | None,
        typer.Argument(help="Of the catalogue, or hf:OWNER/REPOSITORY:QUANT.", metavar="NAME"),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--from", help="A folder with its files, or a bundle, instead of the hub."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Although this machine has too little memory for it.")
    ] = False,
    data: Data = None,
) -> None:
    """Get a vision-language model: HF_ENDPOINT, HF_TOKEN and proxies count.

    A download that was cut goes on where it stopped.
    """
    from ocelli.cli.models import fetch

    _exit(fetch(name, source=source, force=force, **_given(data=data)))


@models.command("bundle")
def models_bundle(
    name: Annotated[str, typer.Argument(help="A model on this machine.", metavar="NAME")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The tar file to write.")],
    data: Data = None,
) -> None:
    """Write a model into one file, for `models pull --from` on a machine without a network."""
    from ocelli.cli.models import pack

    _exit(pack(name, output, **_given(data=data)))


@models.command("remove")
def models_remove(
    name: Annotated[str, typer.Argument(help="A model on this machine.", metavar="NAME")],
    data: Data = None,
) -> None:
    """Remove a model from this machine, or what has come of it."""
    from ocelli.cli.models import remove

    _exit(remove(name, **_given(data=data)))


@models.command("verify")
def models_verify(
    name: Annotated[
        str | None, typer.Argument(help="A model on this machine. Default: all.", metavar="NAME")
    ] = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Compare every file of the pulled models with its hash."""
    from ocelli.cli.models import verify

    _exit(verify(name, as_json=as_json, **_given(data=data)))


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
    _exit(import_file(file, name=name, format=format, as_json=as_json, **where))


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

    _exit(show(name, as_json=as_json, server=server, key=key, data=data))


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
    _exit(test(name, words or None, file_id=file, mode=mode, as_json=as_json, **where))


@vocab.command("delete")
def vocab_delete(
    name: Annotated[str, typer.Argument(help="The vocabulary.")],
    server: ServerUrl = None,
    key: Key = None,
    data: Existing = None,
) -> None:
    """Delete a vocabulary; tags that were chosen from it stay."""
    from ocelli.cli.vocabularies import delete

    _exit(delete(name, server=server, key=key, data=data))


@app.command()
def doctor(as_json: AsJson = False, data: Existing = None) -> None:
    """Say what is wrong with this installation, and what to do."""
    from ocelli.cli.doctor import doctor as run

    _exit(run(as_json=as_json, **_given(data=data)))


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from ocelli import __version__

        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line. Files that it and its children write are private to their user."""
    os.umask(PRIVATE)
    try:
        app()
    except ImportError as error:
        package = (error.name or "").split(".")[0]
        if package in PACKAGES and (conflicting_distributions() or shadowed_packages()):
            fail(f"Another package {package} is in the place of ours: {error}", "ocelli doctor")
        elif package not in PACKAGES and isinstance(error, ModuleNotFoundError):
            fail(
                f"This command needs the server's libraries ({error.name} is missing).",
                pip_install("server"),
            )
        else:
            raise
        sys.exit(CANNOT_RUN)


def fail(message: str, hint: str | None = None) -> None:
    """Print an error, and a line with a hint, to standard error."""
    typer.secho(f"ocelli: {message}", fg="red", err=True)
    if hint:
        typer.echo(f"  → {hint}", err=True)


def say_passed_over(passed_over: Mapping[str, int]) -> None:
    """Print to standard error how many files of folders are no pictures, by extension."""
    from aion._files import passed_over_text

    if text := passed_over_text(passed_over):
        typer.echo(f"ocelli: {printable(text)}", err=True)


def print_json(value: Any) -> None:
    """Print a value as JSON to standard output."""
    typer.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False))


def print_records(records: Iterable[Any], *, lines: bool) -> None:
    """Print records as a JSON list, or each as a line of its own as soon as it is there."""
    if not lines:
        print_json(list(records))
        return
    for record in records:
        print_line(record)


def print_line(record: Any) -> None:
    """Print a record as one line of JSON, at once."""
    typer.echo(json.dumps(record, default=str, ensure_ascii=False))
    sys.stdout.flush()


def printable(path: Path | str) -> str:
    """Return the path as text, with bytes that are not UTF-8 as ``\\xff``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _given(**options: Any) -> dict[str, Any]:
    """Return the options that are not None: the others are left to the settings."""
    return {name: value for name, value in options.items() if value is not None}


def _exit(code: int) -> None:
    if code:
        raise typer.Exit(code)


if __name__ == "__main__":
    main()
