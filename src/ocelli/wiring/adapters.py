"""Adapters that the API and the workers share: stores, and who fetches for others."""

from __future__ import annotations

import contextlib
import os
import secrets
from functools import partial
from typing import TYPE_CHECKING

from prometheus_client import Counter

from ocelli.domain.accounts import MEGABYTE
from ocelli.domain.buckets import parse_bucket_url
from ocelli.media import memory
from ocelli.media.blobs import DiskReserve
from ocelli.media.fetch import SafeFetcher
from ocelli.storage.objects_local import LocalObjects
from ocelli.storage.objects_s3 import S3Objects
from ocelli.storage.sealing import AesGcmSealing
from ocelli.usecases.capacity import WAIT_TIMEOUT
from ocelli.usecases.custom_storage import CustomStorage
from ocelli.usecases.decoders import DecoderPool
from ocelli.wiring.data_folder import local_store

if TYPE_CHECKING:
    from pathlib import Path

    from ocelli.domain.buckets import Bucket, Credentials
    from ocelli.domain.ports_fetch import Fetched
    from ocelli.settings import Settings
    from ocelli.storage.postgres.database import PostgresDatabase

DECODED = 64 * MEGABYTE  # a picture of 2,048 a side, and what is made of it
FETCHES = Counter("ocelli_fetches_total", "Pictures and videos fetched by address", ["outcome"])


class CountingFetcher(SafeFetcher):
    """Shows in the metrics what was fetched, and what could not be."""

    async def get(self, url: str, *, videos: bool = False, max_bytes: int | None = None) -> Fetched:
        """See Fetcher."""
        try:
            fetched = await super().get(url, videos=videos, max_bytes=max_bytes)
        except Exception:
            FETCHES.labels("failed").inc()
            raise
        FETCHES.labels("completed").inc()
        return fetched


def objects(settings: Settings) -> LocalObjects | S3Objects:
    """Where pictures are kept."""
    folder = local_store(settings)
    if folder is not None:
        return LocalObjects(folder, secret(settings))
    return S3Objects(parse_bucket_url(settings.storage_url or ""), settings.data / "staging")


def custom_storage(settings: Settings, database: PostgresDatabase, staging: Path) -> CustomStorage:
    """The tenants' own buckets. Few threads each: a slow one holds up its own tenant only."""

    def open_bucket(bucket: Bucket, credentials: Credentials, *, guarded: bool) -> S3Objects:
        return S3Objects(bucket, staging, credentials=credentials, guarded=guarded, threads=4)

    return CustomStorage(
        database,
        AesGcmSealing(secret(settings)),
        partial(open_bucket, guarded=False),
        partial(open_bucket, guarded=True),
        staging,
        endpoint=settings.custom_s3_endpoint,
        allow_private=settings.custom_s3_allow_private,
    )


def disk_reserve(settings: Settings, store: LocalObjects | S3Objects) -> DiskReserve:
    """What stays free where the database, files that arrive, and pictures are."""
    return DiskReserve((settings.data, store.staging), settings.free_disk_mb * MEGABYTE)


def fetcher(settings: Settings) -> CountingFetcher:
    """Who fetches what users name."""
    return CountingFetcher(
        allow=settings.fetch_networks,
        max_bytes=settings.fetch_max_bytes,
        timeout=settings.fetch_timeout,
    )


def decoder_pool(settings: Settings, *, part: int = 1, wait: float = WAIT_TIMEOUT) -> DecoderPool:
    """Decoders of one process, with that part of what decoding one picture may take."""
    budget = memory.allowed(settings.max_pixels) + DECODED
    return DecoderPool(max_pixels=settings.max_pixels, budget=budget // part, wait=wait)


def secret(settings: Settings) -> bytes:
    """What URLs are signed with; made once per installation."""
    if settings.secret is not None:
        return settings.secret.get_secret_value().encode()
    path = settings.data / "secret"
    settings.data.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        mine = path.with_name(f"secret.{os.getpid()}")
        write_private(mine, secrets.token_hex(32))
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(mine)  # whoever comes first wins, and nobody reads half of it
        mine.unlink()
    return path.read_bytes()


def write_private(path: Path, text: str) -> None:
    """A file that only its owner can read, from its first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with os.fdopen(os.open(path, flags, 0o600), "w") as file:
        file.write(text)
