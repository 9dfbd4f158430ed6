"""Uploads that come together are recorded together: exactly, and each by its own fate."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.blobs import record_steps
from tests.integration.test_main_job import noise
from tests.integration.test_storage import an_image
from tests.waiting import eventually

from ocelli.domain.accounts import TIER_LIMITS, Tenant, Tier
from ocelli.domain.analysis import Status
from ocelli.domain.errors import NotFound, StorageQuotaExceeded, UsageLimitExceeded
from ocelli.domain.file_query import FileQuery
from ocelli.domain.images import Image, StorageTarget
from ocelli.domain.usage import Charge, Limit
from ocelli.storage.objects_local import LocalObjects
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.storage.postgres.images import PostgresImages
from ocelli.usecases.files import Files
from ocelli.usecases.quota import Quota
from ocelli.usecases.store_resolver import StoreResolver
from ocelli.usecases.upload import Accepted, Upload, UploadRequest

LIMIT = 20


@pytest.fixture
async def tenant(database: PostgresDatabase) -> Tenant:
    async with database.transaction() as tx:
        return await tx.accounts.add_tenant(f"many-{uuid.uuid4()}", Tier.FREE)


def uploads(database: PostgresDatabase, folder: Path, **limits: int) -> Upload:
    tiers = {**TIER_LIMITS, Tier.FREE: replace(TIER_LIMITS[Tier.FREE], **limits)}
    stores = StoreResolver(LocalObjects(folder, b"secret"))
    return Upload(database, stores, Quota(database, tiers), max_pixels=1_000_000)


async def send(
    upload: Upload, tenant: Tenant, data: bytes, request: UploadRequest
) -> Accepted | Exception:
    with upload._stores.new_blob(max_bytes=1_000_000) as staged:
        staged.write(data)
        try:
            return await upload.accept(tenant, staged, request)
        except (UsageLimitExceeded, StorageQuotaExceeded) as error:
            return error


PLAIN = UploadRequest("a.png", describe=False)


async def test_a_row_knows_only_files_that_are_on_the_disk(
    database: PostgresDatabase, tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = uploads(database, tmp_path)
    steps = record_steps(monkeypatch, tmp_path)
    add = PostgresImages.add

    async def noted(self: PostgresImages, *images: Image, **more: Any) -> Any:
        steps.append("row")
        return await add(self, *images, **more)

    monkeypatch.setattr(PostgresImages, "add", noted)
    accepted = await send(upload, tenant, noise(1), PLAIN)
    assert isinstance(accepted, Accepted)
    image = accepted.image
    place = f"uploads/{tenant.id}/{image.id}+a.png"
    new = f"new({image.size_bytes})"
    assert steps[-4:] == [
        *(f"fsync {new}", f"rename {new} {place}", f"fsync uploads/{tenant.id}"),
        "row",
    ]


async def test_limits_are_exact(database: PostgresDatabase, tenant: Tenant, tmp_path: Path) -> None:
    """Two processes' worth of uploads, each grouping its own."""
    both = [uploads(database, tmp_path, monthly_uploads=LIMIT) for _ in range(2)]
    data = noise(1)
    async with database.connection() as connection:
        cursor = await connection.execute(
            "SELECT coalesce(max(id), 0) AS newest FROM procrastinate_jobs"
        )
        before = (await cursor.fetchone() or {})["newest"]
    answers = await asyncio.gather(
        *(send(both[n % 2], tenant, data, PLAIN) for n in range(2 * LIMIT + 10))
    )
    assert sum(isinstance(each, Accepted) for each in answers) == LIMIT
    assert sum(isinstance(each, UsageLimitExceeded) for each in answers) == LIMIT + 10
    async with database.transaction() as tx:
        used = await tx.usage.month(tenant.id)
        shown, total = await tx.images.page(tenant.id, FileQuery(), limit=100, offset=0)
    assert (used.uploads, used.storage_bytes) == (LIMIT, LIMIT * len(data))
    assert len(shown) == total == LIMIT
    async with database.connection() as connection:  # those that were refused left no job
        cursor = await connection.execute(
            "SELECT count(*) AS jobs, count(i.id) AS known FROM procrastinate_jobs j"
            " LEFT JOIN images i ON i.id = (j.args ->> 'image_id')::uuid"
            " WHERE j.task_name = 'make_variants' AND j.id > %s",
            (before,),
        )
        row = await cursor.fetchone()
    assert row == {"jobs": LIMIT, "known": LIMIT}


async def test_storage_is_exact(database: PostgresDatabase, tenant: Tenant, tmp_path: Path) -> None:
    """Also by two processes, each grouping its own."""
    data = noise(2)
    both = [uploads(database, tmp_path, storage_bytes=5 * len(data) + 1) for _ in range(2)]
    answers = await asyncio.gather(*(send(both[n % 2], tenant, data, PLAIN) for n in range(12)))
    assert sum(isinstance(each, Accepted) for each in answers) == 5
    assert sum(isinstance(each, StorageQuotaExceeded) for each in answers) == 7
    async with database.transaction() as tx:
        used = await tx.usage.month(tenant.id)
    assert (used.uploads, used.storage_bytes) == (5, 5 * len(data))


async def test_what_is_deleted_makes_room(
    database: PostgresDatabase, tenant: Tenant, tmp_path: Path
) -> None:
    """Once, however many delete it at the same time."""
    data = noise(3)
    upload = uploads(database, tmp_path, storage_bytes=3 * len(data))
    files = Files(database, StoreResolver(LocalObjects(tmp_path, b"secret")))
    first = [await send(upload, tenant, data, PLAIN) for _ in range(3)]
    assert isinstance(await send(upload, tenant, data, PLAIN), StorageQuotaExceeded)
    doomed = str(first[0].image.id)  # type: ignore[union-attr]
    ends = await asyncio.gather(
        *(files.delete_many(tenant.id, [doomed]) for _ in range(4)),
        *(files.delete(tenant.id, doomed) for _ in range(4)),
        return_exceptions=True,
    )
    assert all(isinstance(end, NotFound) for end in ends if isinstance(end, BaseException))
    async with database.transaction() as tx:
        used = await tx.usage.month(tenant.id)
    assert used.storage_bytes == 2 * len(data)
    answers = await asyncio.gather(*(send(upload, tenant, data, PLAIN) for _ in range(3)))
    assert sum(isinstance(each, Accepted) for each in answers) == 1


async def test_each_gets_what_it_asked_for(
    database: PostgresDatabase, tenant: Tenant, tmp_path: Path
) -> None:
    upload = uploads(database, tmp_path)
    requests = [
        UploadRequest(f"{n} ü.png", title=f"T{n}", tags=(f"t{n}", "all"), describe=n % 2 == 0)
        for n in range(10)
    ]
    answers = await asyncio.gather(
        *(send(upload, tenant, noise(n), each) for n, each in enumerate(requests))
    )
    for request, answer in zip(requests, answers, strict=True):
        assert isinstance(answer, Accepted)
        async with database.transaction() as tx:
            image = await tx.images.get(tenant.id, str(answer.image.id))
        assert image is not None
        assert (image.title, image.tags, image.filename) == (
            request.title,
            request.tags,
            request.filename,
        )
        assert replace(image, analysis=None) == answer.image
        assert (image.analysis is not None) is request.describe
        assert image.analysis is None or image.analysis.status is Status.QUEUED
        assert image.storage_target is StorageTarget.DEFAULT
    async with database.connection() as connection:
        cursor = await connection.execute(
            "SELECT task_name, count(*) AS jobs, min(priority) AS last FROM procrastinate_jobs"
            " WHERE args->>'image_id' = ANY(%(ids)s) OR args->>'analysis_id' IN"
            " (SELECT id::text FROM analyses WHERE image_id::text = ANY(%(ids)s))"
            " GROUP BY 1 ORDER BY 1",
            {"ids": [str(each.image.id) for each in answers if isinstance(each, Accepted)]},
        )
        jobs = [(row["task_name"], row["jobs"], row["last"]) for row in await cursor.fetchall()]
    assert jobs == [("analyse", 5, -4), ("make_variants", 10, -10_000)]


async def test_twins_at_once_become_one(
    database: PostgresDatabase, tenant: Tenant, tmp_path: Path
) -> None:
    upload = uploads(database, tmp_path)
    request = replace(PLAIN, skip_duplicates=True)
    answers = await asyncio.gather(*(send(upload, tenant, noise(3), request) for _ in range(8)))
    ids = {each.image.id for each in answers if isinstance(each, Accepted)}
    assert len(ids) == 1
    assert sum(not each.duplicate for each in answers if isinstance(each, Accepted)) == 1


async def test_who_stores_too_much_can_still_have_it_described(database: PostgresDatabase) -> None:
    """A tenant whose tier was lowered: only what adds to it is refused, and not counted."""
    async with database.transaction() as tx:
        tenant = await tx.accounts.add_tenant(f"full-{uuid.uuid4()}", Tier.FREE)
        full = Charge(tenant_id=tenant.id, size_bytes=100)
        assert await tx.usage.reserve(full) is None
    within = replace(full, max_bytes=50, uploads=1)
    async with database.autocommit() as tx:
        assert await tx.usage.reserve(within) is Limit.STORAGE
    async with database.autocommit() as tx:
        assert await tx.usage.reserve(replace(within, size_bytes=0, descriptions=1)) is None
    async with database.autocommit() as tx:
        used = await tx.usage.month(tenant.id)
    assert (used.uploads, used.descriptions, used.storage_bytes) == (1, 1, 100)


async def waits_for_a_lock(database: PostgresDatabase, count: int) -> bool:
    """Whether so many of the database's connections do."""
    async with database.connection() as connection:
        cursor = await connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        row = await cursor.fetchone()
    assert row is not None
    return int(row["count"]) >= count


async def test_nobody_waits_in_a_circle(database: PostgresDatabase) -> None:
    """Uploads and deletions of one tenant, while another transaction refers to it."""
    async with database.transaction() as tx:
        tenant = await tx.accounts.add_tenant(f"busy-{uuid.uuid4()}", Tier.FREE)
    held, let_go, begun = asyncio.Event(), asyncio.Event(), asyncio.Barrier(3)

    async def batch() -> None:
        async with database.transaction() as tx:
            await tx.images.add(an_image(tenant.id))
            await begun.wait()
            await let_go.wait()

    async def deletion() -> None:
        async with database.transaction() as tx:
            await tx.usage.free(tenant.id, 1)
            await begun.wait()
            await held.wait()

    async def upload() -> Limit | None:
        charge = Charge(tenant_id=tenant.id, uploads=1, size_bytes=9, max_bytes=10**9)
        async with database.autocommit() as tx:
            return await tx.images.add(an_image(tenant.id), charge=charge)

    tasks: list[asyncio.Task[Limit | None]] = []
    first = [asyncio.create_task(batch()), asyncio.create_task(deletion())]
    await begun.wait()
    for waiting in range(1, 5):
        tasks.append(asyncio.create_task(upload()))
        await eventually(partial(waits_for_a_lock, database, waiting))
    held.set()
    assert await asyncio.gather(*tasks) == [None] * 4
    let_go.set()
    await asyncio.gather(*first)
