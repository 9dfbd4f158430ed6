"""Commands that describe pictures without a server."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - read from annotations when commands are made
from typing import Annotated

import typer

from ocelli.cli.commands.parameters import (
    AsJson,
    AsLines,
    DescribingServer,
    DescribingVocabulary,
    Existing,
    Key,
    Language,
    Level,
    ModelName,
    Pictures,
    Prompt,
    Role,
    RunnerName,
    VocabularyFile,
    VocabularyMode,
    Workers,
    exit_with,
    given,
)
from ocelli.cli.output import WRONG_USE, fail

commands = typer.Typer()
PANEL = "Describe without a server"


@commands.command(rich_help_panel=PANEL)
def describe(
    context: typer.Context,
    paths: Pictures,
    as_json: AsJson = False,
    workers: Workers = None,
    level: Level = "standard",
    model: ModelName = None,
    runner: RunnerName = None,
    vocabulary: VocabularyFile = None,
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
    with context.obj or DescriberProcess() as first:  # it imports while this process does
        from ocelli.cli.describe import describe as run

        code = run(paths, as_json=as_json, as_lines=as_lines, level=level, first=first, **options)
    exit_with(code)


@commands.command(rich_help_panel=PANEL)
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
    workers: Workers = None,
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


@commands.command(rich_help_panel=PANEL)
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
    workers: Workers = None,
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


@commands.command(rich_help_panel=PANEL)
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
    role: Role = None,
    language: Language = None,
    prompt: Prompt = None,
    backend: Annotated[
        str | None, typer.Option(help="Which describes. Default: that of the settings.")
    ] = None,
    vocabulary: VocabularyFile = None,
    vocabulary_mode: VocabularyMode = None,
    workers: Workers = None,
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

    Each source has one row, whatever becomes of it. More: `ocelli docs bulk`.
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


@commands.command("eval", rich_help_panel=PANEL)
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
