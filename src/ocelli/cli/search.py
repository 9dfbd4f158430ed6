"""``ocelli search`` and ``ocelli export``: what a server knows. Needs no server libraries."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from aion.types.files import SimilarFile
from ocelli.cli.connection import with_client
from ocelli.cli.console import console
from ocelli.cli.output import CANNOT_RUN, WRONG_USE, fail, print_records, printable
from ocelli.cli.table import MAX_TAGS, clipped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from aion import SyncAionVision, UserFile

FORMATS = ("csv", "json", "jsonl")
PAGE = 100
MOST_HITS = 500


def search(
    filters: Mapping[str, Any],
    *,
    limit: int,
    as_json: bool,
    as_lines: bool,
    **where: Any,
) -> int:
    """Print the pictures that match, at most ``limit``. Returns the exit code.

    Words without a ``search_mode`` are searched by meaning too, and the best come first.
    """

    def run(client: SyncAionVision) -> int:
        files = _found(client, dict(filters), limit)
        if as_lines or as_json:
            print_records((_record(file) for file in files), lines=as_lines)
        else:
            _show(list(files), limit)
        return 0

    return with_client(run, **where)


def search_like(like: str, *, limit: int, as_json: bool, as_lines: bool, **where: Any) -> int:
    """Print the pictures that are like one of the server, or like a file. Returns the exit code."""

    def run(client: SyncAionVision) -> int:
        most = min(limit, PAGE)
        if Path(like).is_file():
            found = client.files.similar_to(Path(like), limit=most)
        else:
            found = client.files.similar(like, limit=most)
        if as_lines or as_json:
            records = [{**_record(file), "similarity": file.similarity} for file in found.files]
            print_records(
                ({**record, "compared_by": found.compared_by} for record in records), lines=as_lines
            )
            return 0
        if found.compared_by is None:
            console().print("nothing is known of it yet that could be compared")
            return 0
        console().print(f"compared by {found.compared_by}")
        _show(list(found.files), limit)
        return 0

    return with_client(run, **where)


def export(
    target: Path | None,
    filters: Mapping[str, Any],
    *,
    format: str | None,
    **where: Any,
) -> int:
    """Write every description that matches into a file, or to standard output.

    Returns the exit code.
    """
    if format is None and target is not None:
        format = target.suffix.removeprefix(".").lower()
    chosen = format or "jsonl"
    if chosen not in FORMATS:
        fail(f"no such format: {chosen}", f"--format {' or '.join(FORMATS)}")
        return WRONG_USE
    return with_client(
        lambda client: _write(target, client.history.export(chosen, **filters)), **where
    )


def _write(target: Path | None, content: bytes) -> int:
    if target is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return 0
    try:
        target.write_bytes(content)
    except OSError as error:
        fail(f"{printable(target)} cannot be written: {error.strerror}")
        return CANNOT_RUN
    console().print(f"{len(content)} bytes written to {printable(target)}", soft_wrap=True)
    return 0


def _found(client: SyncAionVision, filters: dict[str, Any], limit: int) -> Iterator[UserFile]:
    if "search" not in filters or "search_mode" in filters or "has_description" in filters:
        yield from islice(client.files.list_all(**filters, page_size=min(limit, PAGE)), limit)
        return
    query = filters.pop("search")
    hits = client.agent_search.images(query, limit=min(limit, MOST_HITS), **filters).result_ids
    for start in range(0, min(len(hits), limit), PAGE):
        ids = hits[start : min(start + PAGE, limit)]
        files = {file.id: file for file in client.files.list(ids=ids, limit=PAGE).files}
        yield from (files[id] for id in ids if id in files)


def _record(file: UserFile) -> dict[str, Any]:
    return {
        "image_id": file.id,
        "file": file.filename,
        "title": file.title,
        "status": file.description_status,
        "description": file.upload_description,
        "tags": file.tags,
        "visible_text": file.visible_text,
        "created_at": file.content_created_at and file.content_created_at.isoformat(),
        "size_bytes": file.size_bytes,
    }


def _show(files: Sequence[UserFile], limit: int) -> None:
    out = console()
    if not files:
        out.print("no picture matches")
        return
    grid = Table(show_lines=True)
    if isinstance(files[0], SimilarFile):
        grid.add_column("alike", justify="right")
    grid.add_column("id", no_wrap=True)
    grid.add_column("file", style="bold", overflow="fold", max_width=20)
    grid.add_column("description", ratio=5)
    grid.add_column("tags", ratio=3, style="cyan")
    grid.add_column("text", ratio=3, style="green")
    for file in files:
        grid.add_row(
            *([f"{file.similarity:.2f}"] if isinstance(file, SimilarFile) else []),
            file.id[:8],
            file.title or file.filename or "",
            file.upload_description or file.description_status or "",
            ", ".join(file.tags[:MAX_TAGS]),
            clipped(file.visible_text),
        )
    out.print(grid)
    if len(files) == limit:
        out.print(f"the first {limit}; --limit shows more")
