"""Uploads that come together are recorded together: exactly, and each by its own fate."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.test_main_job import noise

from ocelli.domain.accounts import TIER_LIMITS, Tenant, Tier
from ocelli.domain.analysis import Status
from ocelli.domain.errors import StorageQuotaExceeded, UsageLimitExceeded
from ocelli.domain.images import StorageTarget
from ocelli.storage.objects_local import LocalObjects
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.usecases.quota import Quota
from ocelli.usecases.staging import StagedFile
from ocelli.usecases.stores import Stores
from ocelli.usecases.upload import Accepted, Upload, UploadRequest

LIMIT = 20


@pytest.fixture
async def tenant(database: PostgresDatabase) -> Tenant:
    async with database.transaction() as tx:
        return await tx.accounts.add_tenant(f"many-{uuid.uuid4()}", Tier.FREE)


def uploads(database: PostgresDatabase, folder: Path, **limits: int) -> Upload:
    tiers = {**TIER_LIMITS, Tier.FREE: replace(TIER_LIMITS[Tier.FREE], **limits)}
    stores = Stores(LocalObjects(folder, b"secret"))
    return Upload(database, stores, Quota(database, tiers), max_pixels=1_000_000)


async def send(
    upload: Upload, tenant: Tenant, data: bytes, request: UploadRequest
) -> Accepted | Exception:
    with StagedFile(upload.staging, max_bytes=1_000_000) as staged:
        staged.write(data)
        try:
            return await upload.accept(tenant, staged, request)
        except (UsageLimitExceeded, StorageQuotaExceeded) as error:
            return error


PLAIN = UploadRequest("a.png", describe=False)


async def test_limits_are_exact(database: PostgresDatabase, tenant: Tenant, tmp_path: Path) -> None:
    """Two processes' worth of uploads, each grouping its own."""
    both = [uploads(database, tmp_path, monthly_uploads=LIMIT) for _ in range(2)]
    data = noise(1)
    answers = await asyncio.gather(
        *(send(both[n % 2], tenant, data, PLAIN) for n in range(2 * LIMIT + 10))
    )
    assert sum(isinstance(each, Accepted) for each in answers) == LIMIT
    assert sum(isinstance(each, UsageLimitExceeded) for each in answers) == LIMIT + 10
    async with database.transaction() as tx:
        used = await tx.usage.month(tenant.id)
    assert (used.uploads, used.storage_bytes) == (LIMIT, LIMIT * len(data))


async def test_storage_is_exact(database: PostgresDatabase, tenant: Tenant, tmp_path: Path) -> None:
    data = noise(2)
    upload = uploads(database, tmp_path, storage_bytes=5 * len(data) + 1)
    answers = await asyncio.gather(*(send(upload, tenant, data, PLAIN) for _ in range(12)))
    assert sum(isinstance(each, Accepted) for each in answers) == 5
    async with database.transaction() as tx:
        used = await tx.usage.month(tenant.id)
    assert (used.uploads, used.storage_bytes) == (5, 5 * len(data))


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
