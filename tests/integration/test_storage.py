"""What Postgres keeps, and what the housekeeping removes."""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from ocelli.domain.accounts import Tier
from ocelli.domain.analysis import Analysis, Failure, Status, VerificationLevel
from ocelli.domain.errors import FailureType, Unavailable
from ocelli.domain.findings import Box, Color, DetectedObject, Face, Findings, Tag, TextLine
from ocelli.domain.images import Image, ImageFormat, Variant, VariantStatus, VariantType
from ocelli.storage.objects_local import LocalObjects
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.storage.postgres.schema import migrate
from ocelli.usecases.housekeeping import Housekeeping
from ocelli.usecases.store_resolver import StoreResolver


async def a_tenant(database: PostgresDatabase) -> uuid.UUID:
    async with database.transaction() as tx:
        return (await tx.accounts.add_tenant(f"t-{uuid.uuid4()}", Tier.STARTER)).id


def an_image(tenant_id: uuid.UUID) -> Image:
    id, now = uuid.uuid4(), datetime.now(UTC)
    return Image(
        id=id,
        tenant_id=tenant_id,
        filename="a.png",
        object_key=f"uploads/{tenant_id}/{id}/a.png",
        content_type="image/png",
        format=ImageFormat.PNG,
        size_bytes=9,
        sha256=uuid.uuid4().hex * 2,
        width=3,
        height=2,
        created_at=now,
        updated_at=now,
        tags=("x",),
    )


def an_analysis(image: Image) -> Analysis:
    return Analysis(
        id=uuid.uuid4(),
        tenant_id=image.tenant_id,
        image_id=image.id,
        object_key=image.object_key,
        level=VerificationLevel.QUICK,
        status=Status.QUEUED,
        created_at=datetime.now(UTC),
    )


BOX = Box(0.1, 0.2, 0.3, 0.4)
FINDINGS = Findings(
    source="test",
    model_version="1",
    objects=(DetectedObject("cat", 0.9, BOX),),
    texts=(TextLine("a\0b", 0.9, BOX),),
    faces=(Face(0.9, BOX),),
    colors=(Color("#aabbcc", "grey", 0.5),),
    tags=(Tag("cat", 0.9),),
    description="A cat.\0",
    confidence=0.75,
)


async def test_an_answer_comes_back_as_it_was_given(database: PostgresDatabase) -> None:
    image = an_image(await a_tenant(database))
    analysis = an_analysis(image)
    async with database.transaction() as tx:
        await tx.images.add(image)
        await tx.jobs.analyse(analysis)
        await tx.analyses.add(analysis)
    async with database.transaction() as tx:
        started = await tx.analyses.start(analysis.id)
        assert started is not None
        assert (started.status, started.attempts) == (Status.PROCESSING, 1)
        done = replace(
            started,
            looks=1,
            findings=(FINDINGS,),
            description=FINDINGS.description,
            tags=("cat",),
            confidence=0.75,
        )
        assert await tx.analyses.complete(done)
        assert not await tx.analyses.complete(done), "whoever comes second changes nothing"
        assert not await tx.analyses.fail(
            analysis.id, Failure(FailureType.UNKNOWN, "late", retryable=True)
        )
        assert await tx.analyses.start(analysis.id) is None
    async with database.transaction() as tx:
        read = await tx.images.get(image.tenant_id, str(image.id))
    assert read is not None
    assert read.analysis is not None
    assert read.analysis.description == "A cat."
    assert read.analysis.findings[0].texts[0].text == "ab"
    assert replace(read.analysis.findings[0], texts=(), description=None) == replace(
        FINDINGS, texts=(), description=None
    )
    assert replace(read, analysis=None, described=None) == image


async def test_a_description_stays_while_another_is_made_fails_or_is_called_off(
    database: PostgresDatabase,
) -> None:
    image = an_image(await a_tenant(database))
    first, failing, dropped = (
        replace(an_analysis(image), created_at=datetime.now(UTC) + timedelta(seconds=number))
        for number in range(3)
    )

    async def shown() -> tuple[Status, str | None]:
        async with database.transaction() as tx:
            read = await tx.images.get(image.tenant_id, str(image.id))
        assert read is not None
        assert read.analysis is not None
        assert read.described is not None
        return read.analysis.status, read.described.description

    async with database.transaction() as tx:
        await tx.images.add(image, analyses=[first])
        assert await tx.analyses.complete(replace(first, description="A cat."))
    assert await shown() == (Status.COMPLETED, "A cat.")
    async with database.transaction() as tx:
        await tx.analyses.add(failing)
    assert await shown() == (Status.QUEUED, "A cat.")
    async with database.transaction() as tx:
        await tx.analyses.fail(failing.id, Failure(FailureType.TIMEOUT, "late", retryable=True))
    assert await shown() == (Status.FAILED, "A cat.")
    async with database.transaction() as tx:
        await tx.analyses.add(dropped)
        await tx.analyses.skip(dropped.id)
    assert await shown() == (Status.FAILED, "A cat."), "what was called off says nothing"
    async with database.transaction() as tx:
        history = await tx.analyses.of_image(image.tenant_id, image.id)
    assert [each.id for each in history] == [first.id, failing.id, dropped.id]


async def test_jobs_exist_exactly_with_their_rows(database: PostgresDatabase) -> None:
    image = an_image(await a_tenant(database))
    analysis = an_analysis(image)
    with pytest.raises(ZeroDivisionError):
        async with database.transaction() as tx:
            await tx.images.add(image)
            await tx.jobs.analyse(analysis)
            await tx.analyses.add(analysis)
            raise ZeroDivisionError
    async with database.connection() as connection:
        cursor = await connection.execute(
            "SELECT 1 FROM procrastinate_jobs WHERE args->>'analysis_id' = %s", (str(analysis.id),)
        )
        assert await cursor.fetchone() is None
    async with database.transaction() as tx:
        assert await tx.images.get(image.tenant_id, str(image.id)) is None


async def test_a_row_without_its_job_is_found(database: PostgresDatabase) -> None:
    image = an_image(await a_tenant(database))
    lost, known = an_analysis(image), an_analysis(image)
    async with database.transaction() as tx:
        await tx.images.add(image)
        await tx.analyses.add(lost)
        await tx.jobs.analyse(known)
        await tx.analyses.add(known)
    async with database.transaction() as tx:
        assert lost.id not in {each.id for each in await tx.analyses.orphans(60)}
        orphans = {each.id for each in await tx.analyses.orphans(0)}
    assert lost.id in orphans
    assert known.id not in orphans


async def test_a_backlog_lowers_the_priority(database: PostgresDatabase) -> None:
    image = an_image(await a_tenant(database))
    async with database.transaction() as tx:
        await tx.images.add(image)
        for _ in range(5):
            analysis = an_analysis(image)
            await tx.jobs.analyse(analysis)
            await tx.analyses.add(analysis)
    async with database.connection() as connection:
        cursor = await connection.execute(
            "SELECT priority FROM procrastinate_jobs WHERE args->>'analysis_id' IN"
            " (SELECT id::text FROM analyses WHERE image_id = %s) ORDER BY id",
            (image.id,),
        )
        assert [row["priority"] for row in await cursor.fetchall()] == [0, -1, -2, -3, -4]


async def test_an_ambiguous_prefix_is_nobody(database: PostgresDatabase) -> None:
    tenant = await a_tenant(database)
    first = an_image(tenant)
    twin = replace(an_image(tenant), id=uuid.UUID(str(first.id)[:8] + str(uuid.uuid4())[8:]))
    async with database.transaction() as tx:
        await tx.images.add(first)
        assert (await tx.images.get(tenant, str(first.id)[:8])) is not None
        await tx.images.add(twin)
        assert (await tx.images.get(tenant, str(first.id)[:8])) is None
        assert (await tx.images.get(tenant, str(twin.id))) is not None


async def test_only_one_holds_a_lock(database: PostgresDatabase) -> None:
    async with database.try_lock("x") as first, database.try_lock("x") as second:
        assert (first, second) == (True, False)
    async with database.try_lock("x") as third:
        assert third


def test_migrating_again_changes_nothing(dsn: str) -> None:
    assert migrate(dsn) == []


async def test_no_database_is_unavailable() -> None:
    nowhere = PostgresDatabase(
        "postgresql://nobody@127.0.0.1:9/none", max_connections=1, timeout=0.2
    )
    async with nowhere:
        with pytest.raises(Unavailable):
            await nowhere.check()


async def test_housekeeping_removes_what_nobody_knows(
    database: PostgresDatabase, tmp_path: Path
) -> None:
    store = LocalObjects(tmp_path, b"s")
    image = an_image(await a_tenant(database))
    variant = Variant(VariantType.TINY, f"variants/{image.id}/tiny.webp", 1, 1, 1)
    old = time.time() - 2 * 86_400
    async with database.transaction() as tx:
        await tx.images.add(image)
        await tx.images.set_variants(image.id, VariantStatus.COMPLETED, [variant])

    def write(path: Path, modified: float) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        os.utime(path, (modified, modified))
        return path

    kept = [
        write(store.path(image.object_key), old),
        write(store.path(variant.object_key), old),
        write(store.path("uploads/new"), time.time()),
        write(store.staging / "new", time.time()),
    ]
    kept.append(write(store.path(f"uploads/{uuid.uuid4()}/of another installation"), old))
    gone = [
        write(store.path(f"uploads/{image.tenant_id}/orphan"), old),
        write(store.staging / "abandoned", old),
    ]
    swept = await Housekeeping(database, StoreResolver(store)).run()
    assert (swept.staged, swept.objects) == (1, 1)
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in gone)

    async with database.connection() as connection:
        await connection.execute(
            "UPDATE images SET deleted_at = now() - interval '31 days' WHERE id = %s", (image.id,)
        )
    swept = await Housekeeping(database, StoreResolver(store)).run()
    assert swept.images == 1
    assert not store.path(image.object_key).exists()
    assert not store.path(variant.object_key).exists()
    async with database.transaction() as tx:
        assert await tx.images.find(image.id) is None


async def test_a_snapshot_is_of_one_moment_and_changes_nothing(database: PostgresDatabase) -> None:
    image = an_image(await a_tenant(database))
    async with database.snapshot() as before:
        assert await before.images.get(image.tenant_id, str(image.id)) is None
        async with database.transaction() as tx:
            await tx.images.add(image)
        assert await before.images.get(image.tenant_id, str(image.id)) is None
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            await before.images.delete(image.tenant_id, image.id)
