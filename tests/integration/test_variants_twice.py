"""Two workers that make the same smaller copies: one of them was given up for dead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.integration.test_main_job import noise
from tests.integration.test_storage import a_tenant, an_image

from ocelli.domain.errors import Unavailable
from ocelli.domain.images import Image, VariantStatus
from ocelli.media.blob_writer import BlobWriter
from ocelli.storage.objects_local import LocalObjects
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.usecases.decoders import DecoderPool
from ocelli.usecases.files import Files, MakeVariants
from ocelli.usecases.store_resolver import StoreResolver

STATES = list(VariantStatus)


class Store(LocalObjects):
    """Says when a file is on its way, and lets it go on when told to."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, b"s")
        self.staged: list[str] = []
        self.arrived = asyncio.Semaphore(0)
        self.go_on = asyncio.Event()
        self.fails = False

    async def put(self, key: str, blob: BlobWriter, content_type: str) -> None:
        self.staged.append(blob.path.name)
        self.arrived.release()
        await self.go_on.wait()
        if self.fails:
            raise Unavailable("full")
        await super().put(key, blob, content_type)


@pytest.fixture
async def image(database: PostgresDatabase) -> Image:
    image = an_image(await a_tenant(database))
    async with database.transaction() as tx:
        await tx.images.add(image)
    return image


@pytest.fixture
async def store(tmp_path: Path, image: Image) -> AsyncIterator[Store]:
    store = Store(tmp_path)
    path = store.path(image.object_key)
    path.parent.mkdir(parents=True)
    path.write_bytes(noise(91))
    yield store
    assert list(store.staging.iterdir()) == []


async def status(database: PostgresDatabase, image: Image) -> VariantStatus:
    async with database.transaction() as tx:
        found = await tx.images.find(image.id)
    assert found is not None
    return found.variant_status


def job(database: PostgresDatabase, store: Store, pool: DecoderPool) -> MakeVariants:
    return MakeVariants(database, StoreResolver(store), pool)


async def test_they_do_not_share_files(
    database: PostgresDatabase, image: Image, store: Store
) -> None:
    with closing(DecoderPool(max_pixels=1_000_000, budget=10**9, at_once=4)) as pool:
        both = [
            asyncio.create_task(job(database, store, pool).run(image.id, last_attempt=False))
            for _ in range(2)
        ]
        for _ in both:
            await store.arrived.acquire()
        store.go_on.set()
        await asyncio.gather(*both)
    assert len(set(store.staged)) == len(store.staged)
    assert await status(database, image) is VariantStatus.COMPLETED
    made = await Files(database, StoreResolver(store)).get(image.tenant_id, str(image.id))
    assert len(made.variants) >= 3
    for variant in made.variants:
        assert len(await store.read(variant.object_key)) == variant.size_bytes


async def test_a_late_failure_does_not_undo_what_is_done(
    database: PostgresDatabase, image: Image, store: Store
) -> None:
    store.fails = True
    with closing(DecoderPool(max_pixels=1_000_000, budget=10**9, at_once=4)) as pool:
        late = asyncio.create_task(job(database, store, pool).run(image.id, last_attempt=True))
        await store.arrived.acquire()
        async with database.transaction() as tx:
            await tx.images.set_variants(image.id, VariantStatus.COMPLETED)
        store.go_on.set()
        with pytest.raises(Unavailable):
            await late
        assert await status(database, image) is VariantStatus.COMPLETED
        await job(database, store, pool).run(image.id, last_attempt=True)  # nothing is left to do
    assert await status(database, image) is VariantStatus.COMPLETED


@pytest.mark.parametrize("before", STATES)
async def test_where_variants_may_come_to_stand(
    database: PostgresDatabase, image: Image, before: VariantStatus
) -> None:
    """Made stays made until it is asked for anew; a deleted picture stays as it is."""
    allowed = {
        VariantStatus.PENDING: set(STATES),
        VariantStatus.PROCESSING: set(STATES[:2]),
        VariantStatus.COMPLETED: set(STATES) - {VariantStatus.COMPLETED},
        VariantStatus.FAILED: set(STATES[:2]),
    }
    for to in STATES:
        async with database.connection() as connection:
            await connection.execute(
                "UPDATE images SET variant_status = %s, deleted_at = NULL WHERE id = %s",
                (before, image.id),
            )
        async with database.transaction() as tx:
            assert await tx.images.set_variants(image.id, to) is (before in allowed[to])
        assert await status(database, image) is (to if before in allowed[to] else before)
    async with database.transaction() as tx:
        await tx.images.delete(image.tenant_id, image.id)
        assert not await tx.images.set_variants(image.id, VariantStatus.COMPLETED)
