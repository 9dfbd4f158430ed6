"""Adapters that the API and the workers share: stores, fetchers."""

from __future__ import annotations

import contextlib
import os
import secrets
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from prometheus_client import Counter

from ocelli.domain.accounts import MEGABYTE
from ocelli.domain.s3_buckets import parse_bucket_url
from ocelli.domain.tracing import TRACE_HEADERS, SpanKind, span
from ocelli.media.blob_writer import DiskReserve
from ocelli.media.fetch import SafeFetcher
from ocelli.storage.objects_local import LocalObjects
from ocelli.storage.objects_s3 import S3Objects
from ocelli.storage.sealing import AesGcmSealing
from ocelli.usecases.custom_storage import CustomStorage
from ocelli.wiring.data_folder import local_store

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from ocelli.domain.erasures import ErasureReason
    from ocelli.domain.ports_fetch import Fetched, PostAnswer
    from ocelli.domain.s3_buckets import Bucket, Credentials
    from ocelli.domain.tracing import Span, TraceContext
    from ocelli.settings import Settings
    from ocelli.storage.postgres.database import PostgresDatabase

POST_TIMEOUT = 15.0  # seconds

FETCHES = Counter("ocelli_fetches_total", "Pictures and videos fetched by address", ["outcome"])
ERASED = Counter("ocelli_erased_pictures_total", "Pictures erased for good", ["reason"])


def count_erased(reason: ErasureReason, pictures: int) -> None:
    """Count pictures that were erased, in the metrics."""
    ERASED.labels(reason.value).inc(pictures)


class CountingFetcher(SafeFetcher):
    """A fetcher that counts its fetches in the metrics, and shows them in traces.

    Addresses are those of strangers: they are sent nothing of a trace.
    """

    async def get(self, url: str, *, videos: bool = False, max_bytes: int | None = None) -> Fetched:
        """See Fetcher."""
        with _request_span("GET", url) as request:
            try:
                fetched = await super().get(url, videos=videos, max_bytes=max_bytes)
            except Exception:
                FETCHES.labels("failed").inc()
                raise
            FETCHES.labels("completed").inc()
            request.note({"http.response.body.size": len(fetched.data)})
            return fetched


class TracedPoster(SafeFetcher):
    """A poster whose posts are shown in traces, which their receivers can go on with."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> PostAnswer:
        """See Poster."""
        trace = {name: value for name, value in headers.items() if name in TRACE_HEADERS}
        others = {name: value for name, value in headers.items() if name not in TRACE_HEADERS}
        with _request_span("POST", url, trace) as request:
            answer = await super().post(url, body, {**others, **request.context()})
            request.note({"http.response.status_code": answer.status})
            if answer.status >= 400:
                request.fail(str(answer.status))
            return answer


def _request_span(
    method: str, url: str, parent: TraceContext | None = None
) -> AbstractContextManager[Span]:
    """Give the span of a request, with the host of its address and nothing else of it."""
    try:
        host, port = (parts := urlsplit(url)).hostname, parts.port
    except ValueError:  # it will be refused
        host, port = None, None
    attributes = {"http.request.method": method, "server.address": host, "server.port": port}
    return span(method, SpanKind.CLIENT, attributes, parent=parent)


def objects(settings: Settings) -> LocalObjects | S3Objects:
    """Return the installation's object store."""
    folder = local_store(settings)
    if folder is not None:
        return LocalObjects(folder, secret(settings))
    return S3Objects(parse_bucket_url(settings.storage_url or ""), settings.data / "staging")


def custom_storage(settings: Settings, database: PostgresDatabase, staging: Path) -> CustomStorage:
    """Return the tenants' own buckets, each with threads of its own: a slow one delays no other."""

    def open_bucket(bucket: Bucket, credentials: Credentials, *, guarded: bool) -> S3Objects:
        return S3Objects(bucket, staging, credentials=credentials, guarded=guarded, threads=4)

    return CustomStorage(
        database,
        sealing(settings),
        partial(open_bucket, guarded=False),
        partial(open_bucket, guarded=True),
        staging,
        endpoint=settings.custom_s3_endpoint,
        allow_private=settings.custom_s3_allow_private,
    )


def disk_reserve(settings: Settings, store: LocalObjects | S3Objects) -> DiskReserve:
    """Return the reserve of free space on the disks of the database, staging and pictures."""
    return DiskReserve((settings.data, store.staging), settings.free_disk_mb * MEGABYTE)


def fetcher(settings: Settings) -> CountingFetcher:
    """Return the fetcher of the addresses that users give."""
    return CountingFetcher(
        allow=settings.fetch_networks,
        max_bytes=settings.fetch_max_bytes,
        timeout=settings.fetch_timeout,
    )


def poster(settings: Settings) -> TracedPoster:
    """Return what posts to the addresses of webhooks."""
    return TracedPoster(allow=settings.fetch_networks, timeout=POST_TIMEOUT)


def sealing(settings: Settings) -> AesGcmSealing:
    """Return the encryption of the tenants' credentials and signing secrets."""
    return AesGcmSealing(secret(settings))


def secret(settings: Settings) -> bytes:
    """Return the secret that signs URLs; it is created once per installation."""
    if settings.secret is not None:
        return settings.secret.get_secret_value().encode()
    path = settings.data / "secret"
    settings.data.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        own_file = path.with_name(f"secret.{os.getpid()}")
        write_private(own_file, secrets.token_hex(32))
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(own_file)  # the first process wins, and no other reads half a file
        own_file.unlink()
    return path.read_bytes()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, from its first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with os.fdopen(os.open(path, flags, 0o600), "w") as file:
        file.write(text)
