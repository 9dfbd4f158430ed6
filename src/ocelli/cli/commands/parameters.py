"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

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
RunnerName = Annotated[
    str | None,
    typer.Option("--runner", help="What runs the model: llamacpp or vllm. Default: llamacpp."),
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
DescribingServer = Annotated[
    str | None,
    typer.Option(
        "--server",
        envvar="AIONVISION_BASE_URL",
        metavar="URL",
        help="Let this server describe. Default: the models of this machine.",
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
Workers = Annotated[int | None, typer.Option(help="Worker processes. Default: cores.")]
Pictures = Annotated[list[Path], typer.Argument(help="Pictures and folders.", metavar="PATH")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
AsLines = Annotated[
    bool, typer.Option("--jsonl", help="Print one JSON object a line, for programs.")
]
Level = Annotated[str, typer.Option(help="Verification: quick, standard, thorough or critical.")]
Backends = Annotated[
    list[str] | None,
    typer.Option(help="By which, several times for several. Default: the server's own."),
]
Role = Annotated[
    str | None,
    typer.Option(help="What it is written for: alttext, caption, ecommerce, ... Default: general."),
]
Language = Annotated[
    str | None, typer.Option(help="Of the description: German, or de. Default: English.")
]
Prompt = Annotated[
    str | None, typer.Option(help="An instruction of your own, instead of that of the role.")
]
Vocabulary = Annotated[
    str | None,
    typer.Option(help="Choose tags from this vocabulary. Default: the tenant's, if it has one."),
]
VocabularyFile = Annotated[
    Path | None,
    typer.Option(
        help="Choose tags from this file: text, CSV, a keyword list, JSON, XMP.", metavar="FILE"
    ),
]
DescribingVocabulary = Annotated[
    str | None,
    typer.Option(
        help="Choose tags from this file, or with --server from this vocabulary of the server.",
        metavar="FILE|NAME",
    ),
]
VocabularyMode = Annotated[
    str | None,
    typer.Option(help="strict (only its terms), prefer (others too), or off. Default: strict."),
]
PolicyName = Annotated[
    str | None,
    typer.Option("--policy", help="By this escalation policy, instead of a level; or none."),
]
Tags = Annotated[
    list[str] | None, typer.Option(help="Only with this tag; several times: with all.")
]
HasDescription = Annotated[
    bool | None,
    typer.Option("--has-description/--no-has-description", help="Only with, or only without one."),
]
DateFrom = Annotated[str | None, typer.Option(help="Not older: 2026-05-10")]
DateTo = Annotated[str | None, typer.Option(help="Not newer; the day is included.")]
Wait = Annotated[
    bool, typer.Option("--wait/--no-wait", help="Whether to wait for the descriptions.")
]


def given(**options: Any) -> dict[str, Any]:
    """Return the options that are not None: the others are left to the settings."""
    return {name: value for name, value in options.items() if value is not None}


def exit_with(code: int) -> None:
    """End the command with this exit code; 0 goes on."""
    if code:
        raise typer.Exit(code)
