"""The composition of a worker process."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from functools import partial
from typing import TYPE_CHECKING

from ocelli.backends.local.embedder import MiniLmEmbedder
from ocelli.domain.errors import StorageFull
from ocelli.domain.jobs import (
    ANALYSE,
    CALL_WEBHOOK,
    EXPORT,
    EXTRACT_COLORS,
    MAKE_VARIANTS,
)
from ocelli.media.frames import VideoFrames
from ocelli.media.video_pages import YtDlp
from ocelli.storage.postgres.database import PostgresDatabase, queue_pool
from ocelli.storage.postgres.preflight import check_connection
from ocelli.storage.postgres.sight import PostgresSight
from ocelli.usecases.analyse import Analyse
from ocelli.usecases.batches import TellBatches
from ocelli.usecases.colors import ExtractColors
from ocelli.usecases.embeddings import Embeddings
from ocelli.usecases.erasures import Erasures
from ocelli.usecases.files import MakeVariants
from ocelli.usecases.history import WriteExport
from ocelli.usecases.housekeeping import Housekeeping
from ocelli.usecases.image_loader import ImageLoader
from ocelli.usecases.picture_index import PictureIndex
from ocelli.usecases.search_index import SearchIndex
from ocelli.usecases.sight import SightGate
from ocelli.usecases.store_resolver import StoreResolver
from ocelli.usecases.text_index import TextIndex
from ocelli.usecases.upload_sessions import Sessions
from ocelli.usecases.vocabularies import Vocabularies
from ocelli.usecases.webhook_sender import WebhookSender
from ocelli.wiring.adapters import (
    count_erased,
    custom_storage,
    disk_reserve,
    fetcher,
    objects,
    poster,
    sealing,
)
from ocelli.wiring.backends import (
    build_backends,
    engine_over,
    local_runtime,
    picture_embedder,
    token_cost,
)
from ocelli.wiring.decoders import decoder_pool
from ocelli.wiring.sight import following_sight, sight_subjects

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from ocelli.settings import Settings
    from ocelli.worker.loop import Worker

ORPHAN_AGE = 60.0
VECTORS_WAIT = 20.0  # seconds of one attempt: pictures of other tenants wait behind it
# Seconds beyond the timeout of an analysis: after them native code hangs.
STUCK_MARGIN = 15.0


@asynccontextmanager
async def build_worker(settings: Settings, ready: Awaitable[str]) -> AsyncIterator[Worker]:
    """Give a worker with its models loaded, once the database is ``ready``."""
    from ocelli.worker.loop import Worker
    from ocelli.worker.observe import count_webhook

    with (
        ThreadPoolExecutor(1, thread_name_prefix="compute") as compute,
        closing(decoder_pool(settings, wait=settings.analysis_timeout)) as decoders,
    ):
        gate = SightGate(sight_subjects(settings))
        async with (
            build_backends(settings, compute, gate) as backends,
            PostgresDatabase(dsn := await ready, max_connections=4) as database,
            following_sight(gate, backends, PostgresSight(database)),
        ):
            engine = engine_over(backends, settings)
            store = objects(settings)
            buckets = custom_storage(settings, database, store.staging)
            stores = StoreResolver(store, buckets, disk_reserve(settings, store))
            sources = ImageLoader(
                database,
                stores,
                fetcher(settings),
                VideoFrames(
                    max_frames=settings.fetch_max_frames,
                    max_pixels=settings.max_pixels,
                    seconds=settings.analysis_timeout / 2,
                ),
                YtDlp(max_bytes=settings.fetch_max_bytes, timeout=settings.fetch_timeout * 2),
                decoders,
                max_bytes=max(settings.fetch_max_bytes, settings.max_upload_bytes),
            )
            embedder = MiniLmEmbedder(local_runtime(settings))
            text_index = TextIndex(database, embedder)
            sees = picture_embedder(settings)
            picture_index = PictureIndex(database, stores, decoders, sees) if sees else None
            analyse = Analyse(
                database,
                engine,
                decoders,
                sources,
                (text_index, picture_index) if picture_index else (text_index,),
                Vocabularies(database, Embeddings(embedder), wait=VECTORS_WAIT),
                token_cost=token_cost(settings),
                timeout=settings.analysis_timeout,
            )
            erasures = Erasures(database, stores, count_erased)
            webhooks = WebhookSender(
                database, poster(settings), sealing(settings), on_attempt=count_webhook
            )

            tell_batches = TellBatches(database)

            async def checkpoint_if_full() -> None:
                """Shrink the write-ahead log of the embedded Postgres, which grows up to 1 GB."""
                try:
                    await asyncio.to_thread(stores.new_blob.reserve.check)
                except StorageFull:
                    await database.checkpoint()

            yield Worker(
                dsn,
                {
                    ANALYSE: analyse,
                    MAKE_VARIANTS: MakeVariants(database, stores, decoders),
                    EXTRACT_COLORS: ExtractColors(database, stores, decoders),
                    EXPORT: WriteExport(database, stores),
                    CALL_WEBHOOK: tell_batches,
                },
                Housekeeping(database, stores, erasures),
                database.try_lock,
                queue_pool,
                partial(asyncio.to_thread, check_connection, dsn),
                periodic_tasks=(
                    partial(analyse.rescue, older_than=ORPHAN_AGE),
                    Sessions(database).expire,
                    tell_batches.catch_up,
                    SearchIndex(database).refold,
                    text_index.catch_up,
                    *((picture_index.catch_up,) if picture_index else ()),
                    *(() if settings.database_url else (checkpoint_if_full,)),
                ),
                services=(webhooks.run, erasures.run),
                max_attempts=settings.max_attempts,
                job_timeout=settings.analysis_timeout + STUCK_MARGIN,
                untimed={EXPORT},
                concurrency=settings.analyses_at_once or (32 if settings.backends else 2),
            )
