"""``ocelli vocab``: the vocabularies of a server. Needs no server libraries."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.table import Table

from aion import ResourceNotFoundError, SyncAionVision
from ocelli.cli.connection import with_client
from ocelli.cli.console import console
from ocelli.cli.output import FAILED, WRONG_USE, fail, print_json, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

FORMATS = ("auto", "text", "csv", "lightroom", "json", "xmp")
MODES = ("strict", "prefer", "off")


def import_file(file: Path, *, name: str | None, format: str, as_json: bool, **where: Any) -> int:
    """Import a file. Returns the exit code."""
    if format not in FORMATS:
        fail(f"no such format: {format}", ", ".join(FORMATS))
        return WRONG_USE

    def run(client: SyncAionVision) -> int:
        try:
            done = client.vocabularies.import_file(file, name=name, format=format)  # type: ignore[arg-type]
        except OSError as error:
            fail(f"{printable(file)}: {error.strerror}")
            return WRONG_USE
        if as_json:
            print_json(asdict(done))
        else:
            again = f", {done.duplicates} of them more than once" if done.duplicates else ""
            console().print(f"{done.name}: {done.term_count} terms{again}")
        return 0

    return _with_client(run, **where)


def show(name: str | None, *, as_json: bool, **where: Any) -> int:
    """Print the vocabularies, or the terms of one. Returns the exit code."""

    def run(client: SyncAionVision) -> int:
        if name is None:
            found = client.vocabularies.list()
            rows = [(each.name, str(each.term_count), each.id) for each in found]
            _print(found, ("name", "terms", "id"), rows, as_json=as_json)
            return 0
        terms = list(client.vocabularies.terms(name))
        synonyms = [", ".join(each.text for each in term.synonyms) for term in terms]
        _print(
            terms,
            ("term", "synonyms", "description"),
            [(t.path, said, t.description or "") for t, said in zip(terms, synonyms, strict=True)],
            as_json=as_json,
        )
        return 0

    return _with_client(run, **where)


def test(
    name: str,
    words: Sequence[str] | None,
    *,
    file_id: str | None,
    mode: str,
    as_json: bool,
    **where: Any,
) -> int:
    """Print the tags for words or a picture. Returns the exit code: FAILED if there are none."""
    if mode not in MODES:
        fail(f"no such mode: {mode}", ", ".join(MODES))
        return WRONG_USE

    def run(client: SyncAionVision) -> int:
        choice = client.vocabularies.choose(name, words, file_id=file_id, mode=mode)  # type: ignore[arg-type]
        if as_json:
            print_json(asdict(choice))
        else:
            table = Table("tag", "why", "score", "word")
            for tag in choice.tags:
                why = f"like {tag.name}" if tag.match == "similar" else tag.match
                table.add_row(tag.tag, why, f"{tag.score:.2f}", tag.word)
            for each in choice.not_chosen:
                near = f"nearest: {each.nearest}" if each.nearest else "nothing is near"
                score = "" if each.score is None else f"{each.score:.2f}"
                table.add_row("-", near, score, each.word)
            console().print(table)
        return 0 if choice.tags else FAILED

    return _with_client(run, **where)


def default(name: str | None, *, mode: str, off: bool, as_json: bool, **where: Any) -> int:
    """Set, remove or print the default vocabulary. Returns the exit code."""
    if mode not in MODES[:2] or (off and name):
        fail("give a name and strict or prefer, or --off alone")
        return WRONG_USE

    def run(client: SyncAionVision) -> int:
        if off:
            client.tenant.remove_vocabulary()
        elif name is not None:
            client.tenant.set_vocabulary(name, mode=mode)  # type: ignore[arg-type]
        now = client.tenant.get_vocabulary()
        if as_json:
            print_json(asdict(now))
        else:
            console().print(f"{now.vocabulary} ({now.mode})" if now.vocabulary else "none")
        return 0

    return _with_client(run, **where)


def delete(name: str, **where: Any) -> int:
    """Delete a vocabulary. Returns the exit code."""

    def run(client: SyncAionVision) -> int:
        client.vocabularies.delete(name)
        console().print(f"{name} is deleted")
        return 0

    return _with_client(run, **where)


def _with_client(run: Callable[[SyncAionVision], int], **where: Any) -> int:
    def named(client: SyncAionVision) -> int:
        try:
            return run(client)
        except ResourceNotFoundError as error:
            fail(error.message, "ocelli vocab list")
            return FAILED

    return with_client(named, **where)


def _print(
    found: Sequence[Any], head: Sequence[str], rows: Sequence[Sequence[str]], *, as_json: bool
) -> None:
    if as_json:
        print_json([asdict(each) for each in found])
        return
    table = Table(*head)
    for row in rows:
        table.add_row(*row)
    console().print(table)
