"""``ocelli embed``: the vectors of a library that was there before."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from ocelli.backends.local.embedder import MiniLmEmbedder
from ocelli.cli.console import console
from ocelli.cli.database import with_database
from ocelli.cli.output import CANNOT_RUN, fail
from ocelli.domain.errors import Unavailable
from ocelli.usecases.picture_index import PictureIndex
from ocelli.usecases.store_resolver import StoreResolver
from ocelli.usecases.text_index import TextIndex
from ocelli.wiring.adapters import custom_storage, disk_reserve, objects
from ocelli.wiring.backends import local_runtime, picture_embedder
from ocelli.wiring.decoders import decoder_pool

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
        code = await _embed(index, "embedded")
        if (sees := picture_embedder(settings)) is None:
            return code
        try:
            with closing(decoder_pool(settings, part=2)) as decoders:
                store = objects(settings)
                buckets = custom_storage(settings, database, store.staging)
                stores = StoreResolver(store, buckets, disk_reserve(settings, store))
                looks = PictureIndex(database, stores, decoders, sees)
                if renew:
                    await looks.renew()
                return await _embed(looks, "embedded by their looks")
        except Unavailable as error:
            fail(error.message)
            return CANNOT_RUN
        finally:
            await sees.close()

    return with_database(run, options)


async def _embed(index: TextIndex | PictureIndex, done: str) -> int:
    """Workers that run may take their share, and pictures come: both change the number.

    Raises Unavailable if what embeds pictures cannot be asked.
    """
    embedded = 0
    with Progress(*BAR, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        while waiting := await index.waiting():
            progress.update(task, total=embedded + waiting, completed=embedded)
            count = await index.catch_up()
            if not count and await index.waiting() == waiting:
                raise Unavailable("What embeds pictures cannot be asked now.")
            embedded += count
    console().print(f"{embedded} pictures {done}")
    return 0
