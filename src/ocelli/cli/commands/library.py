"""Commands for the library of a running server, by HTTP."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - read from annotations when commands are made
from typing import Annotated, Any

import typer

from ocelli.cli.commands.parameters import (
    AsJson,
    AsLines,
    Backends,
    DateFrom,
    DateTo,
    Existing,
    HasDescription,
    Key,
    Language,
    Level,
    Pictures,
    PolicyName,
    Prompt,
    Role,
    ServerUrl,
    Tags,
    Vocabulary,
    VocabularyMode,
    Wait,
    exit_with,
    given,
)
from ocelli.cli.output import WRONG_USE, fail

commands = typer.Typer()
PANEL = "Use a running server"


@commands.command(rich_help_panel=PANEL)
def upload(
    paths: Pictures,
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
    wait: Wait = True,
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


@commands.command(rich_help_panel=PANEL)
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


@commands.command(rich_help_panel=PANEL)
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


@commands.command(rich_help_panel=PANEL)
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
    tags: Tags = None,
    date_from: DateFrom = None,
    date_to: DateTo = None,
    has_description: HasDescription = None,
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


@commands.command(rich_help_panel=PANEL)
def redescribe(
    level: Annotated[
        str | None,
        typer.Option(
            help="Verification: quick, standard, thorough or critical. Default: standard, or what "
            "the default policy says."
        ),
    ] = None,
    backend: Backends = None,
    role: Role = None,
    language: Language = None,
    prompt: Prompt = None,
    vocabulary: Vocabulary = None,
    vocabulary_mode: VocabularyMode = None,
    policy: PolicyName = None,
    search: Annotated[str | None, typer.Option(help="Only what these words find.")] = None,
    search_mode: Annotated[
        str | None, typer.Option(help="Where to search: all, metadata or visible_text.")
    ] = None,
    tags: Tags = None,
    date_from: DateFrom = None,
    date_to: DateTo = None,
    has_description: HasDescription = None,
    ids: Annotated[list[str] | None, typer.Option(help="Only this picture; several times.")] = None,
    server: ServerUrl = None,
    key: Key = None,
    data: Existing = None,
    wait: Wait = True,
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


@commands.command(rich_help_panel=PANEL)
def verify(
    picture: Annotated[str, typer.Argument(help="A file, or an http address.", metavar="PICTURE")],
    statement: Annotated[
        str, typer.Argument(help="What is to be true of it: 'There are two cups.'", metavar="TEXT")
    ],
    level: Level = "standard",
    backend: Backends = None,
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


@commands.command(rich_help_panel=PANEL)
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


@commands.command(rich_help_panel=PANEL)
def embed(
    data: Existing = None,
    renew: Annotated[bool, typer.Option("--all", help="Also what has a vector already.")] = False,
) -> None:
    """Make the vectors that searches by meaning need, for pictures that have none yet."""
    from ocelli.cli.embed import embed as run

    exit_with(run(renew=renew, **given(data=data)))


@commands.command(rich_help_panel=PANEL)
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
