"""``ocelli``: commands for people (rich) and for programs (``--json``).

Exit codes: 0 done, 1 something failed (a picture, a check), 2 wrong use, 3 cannot run here.
Nothing heavy is imported before a command needs it: ``--help`` is quick.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path  # noqa: TC003 - read from annotations when commands are made
from typing import Annotated, Any

import typer

from ocelli.cli import groups
from ocelli.cli.output import CANNOT_RUN, PRIVATE, WRONG_USE, fail
from ocelli.cli.parameters import (
    AsJson,
    AsLines,
    Data,
    DateFrom,
    DateTo,
    DescribingServer,
    DescribingVocabulary,
    Existing,
    Key,
    Level,
    LogLevel,
    ModelName,
    PolicyName,
    RunnerName,
    ServerUrl,
    Vocabulary,
    VocabularyMode,
    exit_with,
    given,
)
from ocelli.distribution import (
    PACKAGES,
    conflicting_distributions,
    pip_install,
    shadowed_packages,
)

# What to install for commands whose libraries a server does not need, by import package.
EXTRAS = {
    "pyarrow": ("bulk",),
    "boto3": ("s3",),
    "daft": ("bulk", "daft"),
    "ray": ("bulk", "ray"),
}
app = typer.Typer(
    name="ocelli",
    help="Image understanding on your own machine: descriptions, tags, visible text, "
    "colours, faces, safety.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(groups.keys, name="keys")
app.add_typer(groups.tenants, name="tenants")
app.add_typer(groups.models, name="models")
app.add_typer(groups.vocab, name="vocab")
app.add_typer(groups.policy, name="policy")
app.add_typer(groups.credit, name="credits")


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.")] = None,
    data: Data = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes. Default: cores.")] = None,
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

    exit_with(run(**given(workers=workers, data=data, log_level=log_level)))


@app.command()
def migrate(data: Data = None) -> None:
    """Bring a database of your own up to date, as `ocelli serve` does at its start, and end."""
    from ocelli.cli.database import migrate as run

    exit_with(run(**given(data=data)))


@app.command()
def console(data: Existing = None) -> None:
    """Print a link that signs the owner in to the console of the running server, once."""
    from ocelli.cli.sign_in import print_link

    exit_with(print_link(**given(data=data)))


@app.command()
def describe(
    paths: Annotated[list[Path], typer.Argument(help="Pictures and folders.", metavar="PATH")],
    as_json: AsJson = False,
    workers: Annotated[int | None, typer.Option(help="Worker processes. Default: cores.")] = None,
    level: Level = "standard",
    model: ModelName = None,
    runner: RunnerName = None,
    vocabulary: Annotated[
        Path | None,
        typer.Option(
            help="Choose tags from this file: text, CSV, a keyword list, JSON, XMP.", metavar="FILE"
        ),
    ] = None,
    vocabulary_mode: VocabularyMode = None,
    as_lines: AsLines = False,
) -> None:
    """Describe pictures without a server."""
    from ocelli.cli.describer_process import DescriberProcess

    options = given(
        workers=workers,
        model=model,
        runner=runner,
        vocabulary=vocabulary,
        vocabulary_mode=vocabulary_mode,
    )
    with DescriberProcess() as first:  # it imports while this process does
        from ocelli.cli.describe import describe as run

        code = run(paths, as_json=as_json, as_lines=as_lines, level=level, first=first, **options)
    exit_with(code)


@app.command()
def tag(
    folder: Annotated[Path, typer.Argument(help="Pictures.", metavar="FOLDER")],
    write_xmp: Annotated[
        bool, typer.Option("--write-xmp", help="Write sidecars beside the pictures.")
    ] = False,
    embed: Annotated[
        bool, typer.Option("--embed", help="Write into the pictures instead, by ExifTool.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--all", help="Also pictures that were described here before.")
    ] = False,
    level: Level = "standard",
    workers: Annotated[int | None, typer.Option(help="Worker processes. Default: cores.")] = None,
    model: ModelName = None,
    runner: RunnerName = None,
    vocabulary: DescribingVocabulary = None,
    vocabulary_mode: VocabularyMode = None,
    server: DescribingServer = None,
    key: Key = None,
    data: Existing = None,
    as_lines: AsLines = False,
) -> None:
    """Describe the pictures of a folder, and print the XMP that would be written, or write it.

    What a person wrote stays. A second run changes nothing.
    """
    from ocelli.cli.tag import HowToDescribe
    from ocelli.cli.tag import tag as run

    how = HowToDescribe(level, server, key, data, vocabulary, vocabulary_mode, again)
    options = given(workers=workers, model=model, runner=runner)
    exit_with(run(folder, how, write=write_xmp, embed=embed, as_lines=as_lines, **options))


@app.command()
def watch(
    folder: Annotated[Path, typer.Argument(help="Where pictures arrive.", metavar="FOLDER")],
    upload: Annotated[
        bool, typer.Option("--upload", help="Upload to a server. Default: write sidecars.")
    ] = False,
    poll: Annotated[
        bool, typer.Option("--poll", help="Look again and again: for network drives.")
    ] = False,
    level: Annotated[
        str | None,
        typer.Option(
            help="Verification: quick, standard, thorough or critical. Default: standard; of "
            "uploads the server's choice."
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes. Default: cores.")] = None,
    model: ModelName = None,
    runner: RunnerName = None,
    vocabulary: DescribingVocabulary = None,
    vocabulary_mode: VocabularyMode = None,
    server: DescribingServer = None,
    key: Key = None,
    data: Existing = None,
    as_lines: AsLines = False,
) -> None:
    """Describe the pictures of a folder and those that arrive, each once, until Ctrl-C.

    Sidecars are written as by `ocelli tag --write-xmp`, or the files uploaded.
    """
    from ocelli.cli.tag import HowToDescribe
    from ocelli.cli.watch import watch as run

    how = HowToDescribe(level, server, key, data, vocabulary, vocabulary_mode)
    options = given(workers=workers, model=model, runner=runner)
    exit_with(run(folder, how, upload=upload, poll=poll, as_lines=as_lines, **options))


@app.command("eval")
def evaluate(
    folder: Annotated[Path, typer.Argument(help="Pictures.", metavar="DIR")],
    labels: Annotated[Path, typer.Option(help="What is in them: one JSON object a line.")],
    level: Annotated[
        list[str] | None, typer.Option(help="Levels to measure, several times. Default: all.")
    ] = None,
    backend: Annotated[str | None, typer.Option(help="Which. Default: the default one.")] = None,
    policy: Annotated[
        Path | None,
        typer.Option(help="Measure an escalation policy instead: quality against cost."),
    ] = None,
    wanted: Annotated[
        float,
        typer.Option("--error", help="With --policy: the wanted share of false claims, 0 to 1."),
    ] = 0.05,
    fit: Annotated[
        Path | None,
        typer.Option(
            help="Fit the calibration of each level and write it there: OCELLI_CALIBRATION uses "
            "it. With --policy, the policy with threshold and calibration."
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="Write a reliability diagram there, as PNG. With --policy quality against cost, "
            "as PNG, SVG or PDF."
        ),
    ] = None,
    as_json: AsJson = False,
    model: ModelName = None,
    runner: RunnerName = None,
) -> None:
    """Measure descriptions, claims and confidence on labelled pictures of your own."""
    from ocelli.cli.evaluate import PLOTS, Options
    from ocelli.cli.evaluate import evaluate as run
    from ocelli.domain.analysis import VerificationLevel

    try:
        levels = [VerificationLevel(each) for each in level or VerificationLevel]
    except ValueError as error:
        fail(str(error), f"levels are {', '.join(VerificationLevel)}")
        exit_with(WRONG_USE)
    if policy is not None and (level or backend):
        fail("a policy says levels and backends itself", "leave --level and --backend out")
        exit_with(WRONG_USE)
    if policy is not None and plot is not None and plot.suffix.lower() not in PLOTS:
        fail(f"no such plot: {plot.name}", f"names that end in {', '.join(PLOTS)}")
        exit_with(WRONG_USE)
    if not 0 <= wanted <= 1:
        fail(f"no share: {wanted}", "--error takes a number from 0 to 1, such as 0.05")
        exit_with(WRONG_USE)
    options = Options(folder, labels, levels, backend, fit, plot, as_json, policy, wanted)
    exit_with(run(options, **given(model=model, runner=runner)))


@app.command()
def bulk(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder, a glob (also s3://), a Parquet, CSV or JSONL file, a tar archive.",
            metavar="SOURCE",
        ),
    ],
    output: Annotated[Path, typer.Argument(help="Folder of the Parquet files.", metavar="OUT")],
    column: Annotated[
        str | None, typer.Option(help="Of a table: paths, addresses or bytes of pictures.")
    ] = None,
    level: Level = "standard",
    role: Annotated[str | None, typer.Option(help="For whom, such as alttext.")] = None,
    language: Annotated[str | None, typer.Option(help="Such as German, or de.")] = None,
    prompt: Annotated[str | None, typer.Option(help="What to say instead.")] = None,
    backend: Annotated[
        str | None, typer.Option(help="Which describes. Default: that of the settings.")
    ] = None,
    vocabulary: Annotated[
        Path | None,
        typer.Option(
            help="Choose tags from this file: text, CSV, a keyword list, JSON, XMP.", metavar="FILE"
        ),
    ] = None,
    vocabulary_mode: VocabularyMode = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes. Default: cores.")] = None,
    engine: Annotated[
        str, typer.Option(help="Who runs the workers: local, daft or ray.")
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(help="Of a Ray cluster: ray://head:10001. Default: this machine."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--new", help="Continue what OUT holds, or start anew.")
    ] = True,
    retry: Annotated[
        str | None, typer.Option(help="Describe again what has failed: failed, or retryable.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Describe at most so many in this run.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Only so many of the source, always the same ones.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="End before this run costs more: 20usd")
    ] = None,
    max_failures: Annotated[
        int | None, typer.Option(min=0, help="End once more than so many have failed.")
    ] = None,
    model: ModelName = None,
    runner: RunnerName = None,
    as_json: AsJson = False,
) -> None:
    """Describe pictures by the million into Parquet files; the same command continues.

    Each source has one row, whatever becomes of it. See docs/bulk.md.
    """
    from ocelli.cli.bulk import BulkOptions
    from ocelli.cli.bulk import bulk as run

    options = BulkOptions(
        source=source,
        output=output,
        column=column,
        level=level,
        role=role,
        language=language,
        prompt=prompt,
        backend=backend,
        vocabulary=vocabulary,
        vocabulary_mode=vocabulary_mode,
        engine=engine,
        address=address,
        workers=workers,
        new=not resume,
        retry=retry,
        limit=limit,
        sample=sample,
        budget=budget,
        max_failures=max_failures,
        as_json=as_json,
    )
    exit_with(run(options, **given(workers=workers, model=model, runner=runner)))


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
    vocabulary: Vocabulary = None,
    vocabulary_mode: VocabularyMode = None,
    policy: PolicyName = None,
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

    exit_with(
        run(
            paths,
            server=server,
            key=key,
            level=level,
            policy=policy,
            wait=wait,
            as_json=as_json,
            as_lines=as_lines,
            data=data,
            vocabulary=given(vocabulary=vocabulary, vocabulary_mode=vocabulary_mode),
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

    exit_with(
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
def mcp(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders whose pictures the agent may name. Default: none."),
    ] = None,
    server: ServerUrl = None,
    key: Key = None,
    data: Existing = None,
) -> None:
    """Tools for agents (Model Context Protocol) over standard input and output.

    Agents start it themselves; a server (`ocelli serve`) does the work, and serves the same at
    /mcp.
    """
    from ocelli.cli.mcp import mcp as run

    exit_with(run(folders or [], server=server, key=key, data=data))


@app.command()
def search(
    words: Annotated[
        list[str] | None, typer.Argument(help="Words to find. Default: all.", metavar="WORDS")
    ] = None,
    search_mode: Annotated[
        str | None,
        typer.Option(
            help="Find the words themselves, newest first, in: all, metadata or visible_text. "
            "Default: by meaning too, best first."
        ),
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
    like: Annotated[
        str | None,
        typer.Option(
            help="Instead of words: find what is like this file, or the picture with this id.",
            metavar="ID|FILE",
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    server: ServerUrl = None,
    key: Key = None,
    data: Existing = None,
    as_json: AsJson = False,
    as_lines: AsLines = False,
) -> None:
    """Find pictures of a server: in words, by what they mean, or all, newest first."""
    from ocelli.cli.search import search as run
    from ocelli.cli.search import search_like

    filters = given(
        search=" ".join(words or ()) or None,
        search_mode=search_mode,
        tags=tags,
        date_from=date_from,
        date_to=date_to,
        has_description=has_description,
    )
    where: dict[str, Any] = {
        "limit": limit,
        "server": server,
        "key": key,
        "data": data,
        "as_json": as_json,
        "as_lines": as_lines,
    }
    if like is not None:
        if filters:
            fail("--like goes with neither words nor filters")
            exit_with(WRONG_USE)
        exit_with(search_like(like, **where))
    exit_with(run(filters, **where))


@app.command()
def embed(
    data: Existing = None,
    renew: Annotated[bool, typer.Option("--all", help="Also what has a vector already.")] = False,
) -> None:
    """Make the vectors that searches by meaning need, for pictures that have none yet."""
    from ocelli.cli.embed import embed as run

    exit_with(run(renew=renew, **given(data=data)))


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

    filters = given(
        search=search,
        start_date=date_from,
        end_date=date_to,
        min_confidence=min_confidence,
        include_failed=include_failed,
        limit=limit,
    )
    exit_with(run(target, filters, format=format, server=server, key=key, data=data))


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

    exit_with(
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

    exit_with(run(id, server=server, key=key, data=data, as_json=as_json))


@app.command()
def redescribe(
    level: Annotated[
        str | None,
        typer.Option(
            help="Verification: quick, standard, thorough or critical. Default: standard, or what "
            "the default policy says."
        ),
    ] = None,
    backend: Annotated[
        list[str] | None,
        typer.Option(help="By which, several times for several. Default: the server's own."),
    ] = None,
    role: Annotated[str | None, typer.Option(help="For whom, such as alttext.")] = None,
    language: Annotated[str | None, typer.Option(help="Such as German, or de.")] = None,
    prompt: Annotated[str | None, typer.Option(help="What to say instead.")] = None,
    vocabulary: Vocabulary = None,
    vocabulary_mode: VocabularyMode = None,
    policy: PolicyName = None,
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

    options = given(
        verification_level=level,
        escalation_policy=policy,
        providers=backend,
        role=role,
        language=language,
        prompt=prompt,
        vocabulary=vocabulary,
        vocabulary_mode=vocabulary_mode,
        search=search,
        search_mode=search_mode,
        tags=tags,
        date_from=date_from,
        date_to=date_to,
        has_description=has_description,
        ids=ids,
    )
    exit_with(run(options, server=server, key=key, data=data, wait=wait, as_json=as_json))


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="Folder of the backups.", metavar="TARGET")],
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


@app.command()
def restore(
    target: Annotated[Path, typer.Argument(help="Folder of the backups.", metavar="TARGET")],
    at: Annotated[str | None, typer.Option(help="Which, by name. Default: the newest.")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="In place of an installation, which is lost.")
    ] = False,
    data: Data = None,
) -> None:
    """Restore an installation from a backup, after reading all of it."""
    from ocelli.cli.backup import restore as run

    exit_with(run(target, name=at, replace_all=replace, **given(data=data)))


@app.command()
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


@app.command()
def doctor(as_json: AsJson = False, data: Existing = None) -> None:
    """Say what is wrong with this installation, and what to do."""
    from ocelli.cli.doctor import doctor as run

    exit_with(run(as_json=as_json, **given(data=data)))


@app.command()
def docs(
    page: Annotated[
        str | None, typer.Argument(help="Which: settings, sdk/quick-start, ... Default: a list.")
    ] = None,
) -> None:
    """Read the documentation of this version, without a network."""
    from ocelli.cli.docs import docs as run

    exit_with(run(page))


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
            extras = EXTRAS.get(package, ())
            libraries = "other libraries" if extras else "the server's libraries"
            fail(
                f"This command needs {libraries} ({error.name} is missing).",
                pip_install("server", *extras),
            )
        else:
            raise
        sys.exit(CANNOT_RUN)


if __name__ == "__main__":
    main()
