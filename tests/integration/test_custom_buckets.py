"""Tenants' own buckets without HTTP: who opens what, where connections go, what is swept."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.blobs import a_blob
from tests.integration.test_storage import a_tenant, an_image
from tests.s3.store import REGION, S3

from ocelli.domain.audit import Actor
from ocelli.domain.errors import StorageAccessDenied, Unavailable, ValidationFailed
from ocelli.domain.images import Image, StorageTarget
from ocelli.domain.s3_buckets import Bucket, BucketConfig, Credentials
from ocelli.storage import guarded_http
from ocelli.storage.objects_local import LocalObjects
from ocelli.storage.objects_s3 import S3Objects
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.storage.sealing import AesGcmSealing
from ocelli.usecases import housekeeping
from ocelli.usecases.custom_storage import CustomStorage
from ocelli.usecases.store_resolver import StoreResolver


def buckets(database: PostgresDatabase, s3: S3, folder: Path, **options: Any) -> CustomStorage:
    def opened(bucket: Bucket, credentials: Credentials, *, guarded: bool) -> S3Objects:
        return S3Objects(bucket, folder, credentials=credentials, guarded=guarded, threads=2)

    return CustomStorage(
        database,
        AesGcmSealing(b"secret"),
        partial(opened, guarded=False),
        partial(opened, guarded=True),
        folder,
        **{"endpoint": s3.endpoint, **options},
    )


async def test_clients_are_kept_until_something_changes(
    database: PostgresDatabase, s3: S3, tmp_path: Path
) -> None:
    custom, elsewhere = (buckets(database, s3, tmp_path) for _ in range(2))
    tenant_id = await a_tenant(database)
    assert await custom.store(tenant_id) is None
    bucket, credentials = Bucket(s3.new_bucket(), REGION), Credentials(s3.key, s3.secret)
    config = await custom.configure(Actor(tenant_id), bucket, credentials)
    assert s3.secret not in repr(config)
    assert s3.secret not in repr(credentials)
    first = await custom.store(tenant_id)
    assert first is await custom.store(tenant_id)
    await elsewhere.configure(Actor(tenant_id), bucket, credentials)
    assert first is not await custom.store(tenant_id), "another process changed it"
    await elsewhere.remove(Actor(tenant_id))
    assert await custom.store(tenant_id) is None


async def test_sealed_credentials_open_for_one_tenant_and_bucket(
    database: PostgresDatabase, s3: S3, tmp_path: Path
) -> None:
    custom = buckets(database, s3, tmp_path)
    mine, theirs = await a_tenant(database), await a_tenant(database)
    bucket = Bucket(s3.new_bucket(), REGION)
    config = await custom.configure(Actor(mine), bucket, Credentials(s3.key, s3.secret))
    for changed in (
        replace(config, tenant_id=theirs),
        replace(config, bucket=replace(config.bucket, endpoint_url="http://evil.example")),
        replace(config, sealed=config.sealed[:-1] + bytes([config.sealed[-1] ^ 1])),
        replace(config, sealed=b""),
    ):
        async with database.transaction() as tx:
            await tx.s3_configs.put(replace(changed, version=uuid.uuid4()))
        with pytest.raises(StorageAccessDenied, match="Configure it again"):
            await custom.store(changed.tenant_id)
        assert (await custom.validate(changed.tenant_id))[1] is not None
    image = replace(an_image(mine), storage_target=StorageTarget.CUSTOM)
    links = await StoreResolver(LocalObjects(tmp_path, b"s"), custom).stores_of([image])
    assert links == {}


async def test_a_guarded_client_goes_to_the_address_that_was_checked(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(s3.endpoint.rpartition(":")[2])
    bucket = Bucket(s3.new_bucket(), REGION, f"http://store.invalid:{port}")
    credentials = Credentials(s3.key, s3.secret)
    asked: list[str] = []

    def checked(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    monkeypatch.setattr(guarded_http, "public_addresses", checked)
    store = S3Objects(bucket, tmp_path, credentials=credentials, guarded=True)
    await store.put("a", a_blob(tmp_path, b"1"), "image/png")
    assert await store.read("a") == b"1", "the name exists nowhere: only the checked address counts"
    assert set(asked) == {"store.invalid"}
    monkeypatch.undo()
    monkeypatch.setenv("HTTP_PROXY", s3.endpoint)
    private = S3Objects(
        replace(bucket, endpoint_url=s3.endpoint), tmp_path, credentials=credentials, guarded=True
    )
    with pytest.raises(Unavailable):
        await private.read("a")


async def test_who_may_go_to_private_addresses(
    database: PostgresDatabase, s3: S3, tmp_path: Path
) -> None:
    tenant_id = await a_tenant(database)
    bucket = Bucket(s3.new_bucket(), REGION, s3.endpoint)
    credentials = Credentials(s3.key, s3.secret)
    with pytest.raises(ValidationFailed, match="not public"):
        await buckets(database, s3, tmp_path, endpoint=None).configure(
            Actor(tenant_id), bucket, credentials
        )
    allowed = buckets(database, s3, tmp_path, endpoint=None, allow_private=True)
    assert (await allowed.configure(Actor(tenant_id), bucket, credentials)).bucket == bucket
    no_longer = buckets(database, s3, tmp_path, endpoint=None)
    assert (await no_longer.validate(tenant_id))[1] is not None


async def a_deleted_image(
    database: PostgresDatabase, custom: CustomStorage, tenant_id: uuid.UUID, folder: Path
) -> Image:
    """In the tenant's bucket, out of sight for longer than it can be brought back."""
    image = replace(an_image(tenant_id), storage_target=StorageTarget.CUSTOM)
    store = await custom.store(tenant_id)
    assert store is not None
    for key in (image.object_key, f"incoming/{tenant_id}/{uuid.uuid4()}/a.png"):
        await store.put(key, a_blob(folder, b"1"), "image/png")
    async with database.transaction() as tx:
        await tx.images.add(image)
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE images SET deleted_at = now() - interval '31 days' WHERE id = %s", (image.id,)
        )
    return image


async def test_housekeeping_in_buckets_of_tenants(
    database: PostgresDatabase, s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "ABANDONED_AFTER", -60.0)
    custom = buckets(database, s3, tmp_path / "in")
    clean = housekeeping.Housekeeping(
        database, StoreResolver(LocalObjects(tmp_path / "objects", b"s"), custom)
    )
    (tmp_path / "in").mkdir()
    images, names = [], []
    for _ in range(3):
        tenant_id, bucket = await a_tenant(database), s3.new_bucket()
        await custom.configure(
            Actor(tenant_id), Bucket(bucket, REGION), Credentials(s3.key, s3.secret)
        )
        images.append(await a_deleted_image(database, custom, tenant_id, tmp_path))
        names.append(bucket)
    foreign = "uploads/somebody/else.png"
    s3.client.put_object(Bucket=names[0], Key=foreign, Body=b"1")
    s3.drop(names[1])
    await custom.remove(Actor(images[2].tenant_id))
    await clean.run()
    assert s3.keys(names[0]) == [foreign], "ours are gone, with what was never confirmed"
    assert images[2].object_key in s3.keys(names[2]), "a bucket that was forgotten is not touched"
    async with database.transaction() as tx:
        rows = [await tx.images.find(image.id) for image in images]
    assert [row is None for row in rows] == [True, False, True]
    s3.client.create_bucket(Bucket=names[1])
    await clean.run()
    async with database.transaction() as tx:
        assert await tx.images.find(images[1].id) is None


def test_a_configuration_as_a_row() -> None:
    config = BucketConfig(
        uuid.uuid4(), uuid.uuid4(), Bucket("b", REGION), datetime.now(UTC), b"sealed"
    )
    assert "sealed" not in repr(config)
