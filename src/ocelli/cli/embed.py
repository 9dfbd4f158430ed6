"""``ocelli embed``: the vectors of a library that was there before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from ocelli.backends.local.embedder import MiniLmEmbedder
from ocelli.cli.console import console
from ocelli.cli.database import with_database
from ocelli.cli.output import CANNOT_RUN, fail
from ocelli.usecases.text_index import TextIndex
from ocelli.wiring.backends import local_runtime

if TYPE_CHECKING:
    from ocelli.settings import Settings
    from ocelli.storage.postgres.database import PostgresDatabase

BAR = ("embedding", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())


def embed(*, renew: bool, **options: Any) -> int:
    """Embed all pictures that wait; with ``renew`` every one. Returns the exit code."""

    async def run(database: PostgresDatabase, settings: Settings) -> int:
        index = TextIndex(database, MiniLmEmbedder(local_runtime(settings)))
        if await index.waiting() is None:
            fail("the database lacks the extension pgvector 0.8", "CREATE EXTENSION vector")
            return CANNOT_RUN
        if renew:
            await index.renew()
        return await _embed(index)

    return with_database(run, options)


async def _embed(index: TextIndex) -> int:
    """Workers that run may take their share, and pictures come: both change the number."""
    embedded = 0
    with Progress(*BAR, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        while waiting := await index.waiting():
            progress.update(task, total=embedded + waiting, completed=embedded)
            embedded += await index.catch_up()
    console().print(f"{embedded} pictures embedded")
    return 0
