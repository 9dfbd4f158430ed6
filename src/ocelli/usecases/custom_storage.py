"""The tenants' own buckets: tested before they are configured, credentials encrypted."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cachetools import LRUCache

from ocelli.domain.audit import AuditEvent, AuditType
from ocelli.domain.errors import OcelliError, StorageAccessDenied, ValidationFailed
from ocelli.domain.s3_buckets import BucketConfig, Credentials
from ocelli.media.addresses import ForbiddenAddress, public_addresses
from ocelli.media.blob_writer import BlobWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from uuid import UUID

    from ocelli.domain.audit import Actor
    from ocelli.domain.ports_storage import Objects, Sealing
    from ocelli.domain.s3_buckets import Bucket
    from ocelli.storage.postgres.database import PostgresDatabase

    OpenBucket = Callable[[Bucket, Credentials], Objects]

TEST_TIMEOUT = 20.0
OPEN_AT_ONCE = 200

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_REGION = re.compile(r"[a-z0-9][a-z0-9-]{1,31}")
_VISIBLE = re.compile(r"[!-~]+")
_AWS_KEY_ID = 16
_AWS_SECRET = 20


class CustomStorage:
    """Use cases around a tenant's own bucket; implements usecases.store_resolver.Buckets.

    ``open_trusted`` opens buckets at AWS and at endpoints of the operator's choice,
    ``open_guarded`` those at an endpoint that a tenant named: it goes to public addresses only.
    """

    def __init__(
        self,
        database: PostgresDatabase,
        sealing: Sealing,
        open_trusted: OpenBucket,
        open_guarded: OpenBucket,
        staging: Path,
        *,
        endpoint: str | None = None,
        allow_private: bool = False,
    ) -> None:
        self._database = database
        self._sealing = sealing
        self._open_trusted = open_trusted
        self._open_guarded = open_guarded
        self._staging = staging
        self._endpoint = endpoint
        self._allow_private = allow_private
        self._opened: LRUCache[UUID, tuple[UUID, Objects]] = LRUCache(OPEN_AT_ONCE)

    async def configure(self, by: Actor, bucket: Bucket, credentials: Credentials) -> BucketConfig:
        """Test the bucket, then configure it in place of an earlier one.

        Raises ValidationFailed if a value is malformed, or an object cannot be written, read and
        deleted; then nothing changes.
        """
        tenant_id = by.tenant_id
        bucket = replace(bucket, endpoint_url=_endpoint(bucket.endpoint_url) or self._endpoint)
        _check(bucket, credentials)
        if not self._is_trusted(bucket):
            await _check_address(bucket)
        try:
            reason = await self._test(tenant_id, self._open(bucket, credentials))
        except StorageAccessDenied as error:
            reason = error.message
        if reason is not None:
            raise ValidationFailed(
                f"The bucket cannot be used: {reason}", field="bucket_name", issue=reason
            )
        config = BucketConfig(
            tenant_id=tenant_id,
            version=uuid.uuid4(),
            bucket=bucket,
            configured_at=datetime.now(UTC),
            sealed=seal(self._sealing, tenant_id, bucket, credentials),
        )
        async with self._database.transaction() as tx:
            await tx.s3_configs.put(config)
            await tx.audit.add(_event(by, bucket.name))
        return config

    async def get(self, tenant_id: UUID) -> BucketConfig | None:
        """Return the configuration; None if there is none."""
        async with self._database.transaction() as tx:
            return await tx.s3_configs.get(tenant_id)

    async def validate(self, tenant_id: UUID) -> tuple[BucketConfig | None, str | None]:
        """Return the configuration, and why it cannot be used (None: it can). Changes nothing."""
        config = await self.get(tenant_id)
        if config is None:
            return None, "No custom storage is configured."
        try:
            store = self._store(config)
        except StorageAccessDenied as error:
            return config, error.message
        return config, await self._test(tenant_id, store)

    async def remove(self, by: Actor) -> bool:
        """Remove the configuration; return whether there was one. The bucket is left unchanged."""
        async with self._database.transaction() as tx:
            removed = await tx.s3_configs.remove(by.tenant_id)
            if removed:
                await tx.audit.add(_event(by, None))
        return removed

    async def store(self, tenant_id: UUID) -> Objects | None:
        """See usecases.store_resolver.Buckets. Queries the database each time, so never stale."""
        config = await self.get(tenant_id)
        return self._store(config) if config is not None else None

    def _store(self, config: BucketConfig) -> Objects:
        version, store = self._opened.get(config.tenant_id, (None, None))
        if store is None or version != config.version:
            store = self._open(config.bucket, unseal(self._sealing, config))
            self._opened[config.tenant_id] = config.version, store
        return store

    def _open(self, bucket: Bucket, credentials: Credentials) -> Objects:
        open_ = self._open_trusted if self._is_trusted(bucket) else self._open_guarded
        return open_(bucket, credentials)

    def _is_trusted(self, bucket: Bucket) -> bool:
        return self._allow_private or bucket.endpoint_url in (None, self._endpoint)

    async def _test(self, tenant_id: UUID, store: Objects) -> str | None:
        """Write, read and delete a small object; return what failed, or None."""
        key = f"uploads/{tenant_id}/access-test-{uuid.uuid4()}"
        content = key.encode()
        try:
            async with asyncio.timeout(TEST_TIMEOUT):
                with BlobWriter(self._staging) as probe:
                    await asyncio.to_thread(probe.write, content)
                    await store.put(key, probe, "application/octet-stream")
                try:
                    if await store.read(key) != content:
                        return "It gave back something else than was put into it."
                finally:
                    await store.delete(key)
        except TimeoutError:
            return f"It did not answer within {TEST_TIMEOUT:.0f} seconds."
        except FileNotFoundError:
            return "What was put into it was not there afterwards."
        except OcelliError as error:
            return error.message
        return None


def _event(by: Actor, bucket: str | None) -> AuditEvent:
    resource = ("tenant", str(by.tenant_id))
    return AuditEvent(by, AuditType.TENANT_UPDATED, resource, {"s3_bucket": bucket})


def seal(sealing: Sealing, tenant_id: UUID, bucket: Bucket, credentials: Credentials) -> bytes:
    """Return the encrypted credentials."""
    plain = json.dumps([credentials.access_key_id, credentials.secret_access_key])
    return sealing.seal(plain.encode(), context=_context(tenant_id, bucket))


def unseal(sealing: Sealing, config: BucketConfig) -> Credentials:
    """Decrypt the credentials.

    Raises StorageAccessDenied if they were sealed with another secret, or for another bucket.
    """
    try:
        plain = sealing.open(config.sealed, context=_context(config.tenant_id, config.bucket))
    except ValueError:
        raise StorageAccessDenied(
            "The credentials of your bucket cannot be read any more. Configure it again."
        ) from None
    return Credentials(*json.loads(plain))


def _context(tenant_id: UUID, bucket: Bucket) -> str:
    """Return the context that binds sealed credentials to this tenant and bucket."""
    return json.dumps([str(tenant_id), bucket.name, bucket.region, bucket.endpoint_url])


def _endpoint(url: str | None) -> str | None:
    """Normalise an endpoint. Raises ValidationFailed if it is not ``http(s)://host[:port]``."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or not _VISIBLE.fullmatch(url)
        or "@" in parts.netloc
        or parts.path not in ("", "/")
        or "?" in url
        or "#" in url
    ):
        raise ValidationFailed(
            "Must be `https://host` or `http://host`, with a port if need be.",
            field="endpoint_url",
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")


def _check(bucket: Bucket, credentials: Credentials) -> None:
    if not _BUCKET.fullmatch(bucket.name) or ".." in bucket.name:
        raise ValidationFailed(
            "A bucket name has 3 to 63 lower-case letters, digits, dots and hyphens.",
            field="bucket_name",
        )
    if not _REGION.fullmatch(bucket.region):
        raise ValidationFailed("This is no region, such as `us-east-1`.", field="region")
    at_aws = bucket.endpoint_url is None
    for field, value, least in (
        ("access_key_id", credentials.access_key_id, _AWS_KEY_ID),
        ("secret_access_key", credentials.secret_access_key, _AWS_SECRET),
    ):
        if not _VISIBLE.fullmatch(value):
            raise ValidationFailed("Only visible ASCII characters are possible.", field=field)
        if at_aws and len(value) < least:
            raise ValidationFailed(f"At AWS it has at least {least} characters.", field=field)


async def _check_address(bucket: Bucket) -> None:
    """Check the address for an early, clear error; each connection checks it again."""
    assert bucket.endpoint_url is not None
    parts = urlsplit(bucket.endpoint_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        async with asyncio.timeout(TEST_TIMEOUT):
            await asyncio.to_thread(public_addresses, parts.hostname or "", port)
    except ForbiddenAddress as error:
        raise ValidationFailed(str(error), field="endpoint_url") from None
    except OSError:
        raise ValidationFailed(
            f"No address is known for {parts.hostname}.", field="endpoint_url"
        ) from None
