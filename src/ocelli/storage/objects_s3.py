"""The object store in a bucket of S3, or of another server with its protocol."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from ocelli.distribution import pip_install
from ocelli.domain.errors import OcelliError, StorageAccessDenied, TooLarge, Unavailable
from ocelli.domain.http_status import can_be_retried
from ocelli.domain.ports_storage import SignedUpload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from pathlib import Path

    from ocelli.domain.s3_buckets import Bucket, Credentials
    from ocelli.media.blob_writer import BlobWriter

    T = TypeVar("T")

CHUNK_BYTES = 1024 * 1024
CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 30.0
ATTEMPTS = 3
TIMEOUT = 60.0  # less than what a worker may spend on one picture
PUT_TIMEOUT = 600.0
MAX_BYTES_IN_MEMORY = 512 * 1024 * 1024

_REFUSED = frozenset({401, 403})
_CODE = re.compile(r"[A-Za-z]{1,64}")


class S3Objects:
    """A bucket as an object store; implements ports_storage.Objects.

    boto3 runs in ``threads`` threads of its own, so that a slow bucket delays nothing else.
    Without ``credentials`` boto3 finds them; without boto3 (an extra: ``ocelli-vision[s3]``) none
    is made: StorageAccessDenied. ``guarded`` connects to public addresses only. A call
    that exceeds ``timeout`` seconds (``PUT_TIMEOUT`` for put) raises Unavailable, and its thread is
    free then, as it is when the caller is cancelled.
    """

    def __init__(
        self,
        bucket: Bucket,
        staging: Path,
        *,
        credentials: Credentials | None = None,
        guarded: bool = False,
        threads: int = 16,
        timeout: float = TIMEOUT,
    ) -> None:
        staging.mkdir(parents=True, exist_ok=True)
        self.staging = staging
        self._bucket = bucket
        self._timeout = timeout
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="s3")
        self._client = _client(bucket, credentials, guarded=guarded, connections=threads)

    def __str__(self) -> str:
        return f"s3://{self._bucket.name}/{self._bucket.prefix}"

    async def put(self, key: str, blob: BlobWriter, content_type: str) -> None:
        """See ports_storage.Objects."""
        await self._run(lambda: self._put(key, blob, content_type), timeout=PUT_TIMEOUT)

    async def read(self, key: str) -> bytes:
        """See ports_storage.Objects. Raises TooLarge beyond 512 MB."""
        chunks: list[bytes] = []
        left = MAX_BYTES_IN_MEMORY

        def keep(chunk: bytes) -> None:
            nonlocal left
            left -= len(chunk)
            if left < 0:
                raise TooLarge("The stored object is too large.")
            chunks.append(chunk)

        await self.copy_to(key, keep)
        return b"".join(chunks)

    async def copy_to(self, key: str, write: Callable[[bytes], object]) -> None:
        """See ports_storage.Objects. Raises Unavailable at the timeout."""
        await self._run(lambda: self._copy_to(key, write))

    async def size(self, key: str) -> int | None:
        """See ports_storage.Objects."""
        try:
            return await self._run(lambda: self._size(key))
        except FileNotFoundError:
            return None

    async def delete(self, key: str) -> None:
        """See ports_storage.Objects."""
        await self._run(lambda: self._client.delete_object(**self._at(key)))

    async def keys(self, *, under: str, older_than: float) -> AsyncIterator[Sequence[str]]:
        """See ports_storage.Objects."""
        before = datetime.now(UTC) - timedelta(seconds=older_than)
        pages = iter(
            self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket.name, Prefix=f"{self._bucket.prefix}{under.rstrip('/')}/"
            )
        )
        own = len(self._bucket.prefix)
        while page := await self._run(lambda: next(pages, None)):
            contents = page.get("Contents", ())
            old = [each["Key"][own:] for each in contents if each["LastModified"] < before]
            if old:
                yield old

    async def check(self) -> None:
        """See ports_storage.Objects."""
        try:
            await self._run(lambda: self._client.head_bucket(Bucket=self._bucket.name))
        except OcelliError as error:
            raise OSError(error.message) from None

    def url(
        self, key: str, *, expires_in: int, content_type: str, filename: str | None = None
    ) -> str:
        """See ports_storage.Objects."""
        answer = {"ResponseContentType": content_type}
        if filename is not None:
            answer["ResponseContentDisposition"] = f"attachment; filename*=UTF-8''{quote(filename)}"
        return self._signed("get_object", {**self._at(key), **answer}, expires_in)

    def upload_url(
        self, key: str, *, expires_in: int, content_type: str, max_bytes: int
    ) -> SignedUpload:
        """See ports_storage.Objects. A signed PUT of S3 has no bound on its size."""
        del max_bytes
        url = self._signed("put_object", {**self._at(key), "ContentType": content_type}, expires_in)
        return SignedUpload(url, headers={"Content-Type": content_type})

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket.name, "Key": self._bucket.prefix + key}

    def _signed(self, operation: str, parameters: dict[str, str], expires_in: int) -> str:
        with _translated(self._bucket.name):
            url: str = self._client.generate_presigned_url(
                operation, Params=parameters, ExpiresIn=expires_in
            )
        return url

    async def _run(self, work: Callable[[], T], *, timeout: float | None = None) -> T:
        from ocelli.storage.endable_http import Exchange

        exchange = Exchange()

        def translated() -> T:
            with _translated(self._bucket.name), exchange.of_this_thread():
                return work()

        try:
            async with asyncio.timeout(timeout or self._timeout):
                return await asyncio.get_running_loop().run_in_executor(self._threads, translated)
        except TimeoutError:
            raise Unavailable(f"The bucket {self._bucket.name} is too slow.") from None
        finally:
            exchange.end()  # else a bucket that drips would keep the thread

    def _put(self, key: str, blob: BlobWriter, content_type: str) -> None:
        blob.close()
        with blob.path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).digest()
            file.seek(0)
            self._client.put_object(
                **self._at(key),
                Body=file,
                ContentType=content_type,
                ContentMD5=base64.b64encode(digest).decode(),  # every S3 checks this one
            )
        blob.discard()

    def _copy_to(self, key: str, write: Callable[[bytes], object]) -> None:
        answer = self._client.get_object(**self._at(key))
        with answer["Body"] as body:
            while chunk := body.read(CHUNK_BYTES):
                write(chunk)

    def _size(self, key: str) -> int:
        try:
            answer = self._client.head_object(**self._at(key))
        except self._client.exceptions.ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                # An answer without a body does not say whether the key or the bucket is missing.
                self._client.head_bucket(Bucket=self._bucket.name)
                raise FileNotFoundError(key) from None
            raise
        size: int = answer["ContentLength"]
        return size


def _client(
    bucket: Bucket, credentials: Credentials | None, *, guarded: bool, connections: int
) -> Any:
    try:
        from boto3.session import Session
        from botocore.config import Config
    except ModuleNotFoundError:
        raise StorageAccessDenied(
            f"Buckets can be used once boto3 is installed here ({pip_install('server', 's3')})."
        ) from None

    logging.getLogger("botocore").setLevel(logging.WARNING)  # below INFO it prints signatures
    keys = {}
    if credentials is not None:
        keys = {
            "aws_access_key_id": credentials.access_key_id,
            "aws_secret_access_key": credentials.secret_access_key,
        }
    client = Session(**keys).client(
        "s3",
        region_name=bucket.region,
        endpoint_url=bucket.endpoint_url,
        config=Config(
            signature_version="s3v4",
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=connections,
            # Newer checksums are unknown to many stores that speak S3; put sends its own.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            ignore_configured_endpoint_urls=credentials is not None,
            s3={"addressing_style": "path" if bucket.endpoint_url else "auto"},
        ),
    )
    from ocelli.storage.endable_http import make_endable

    make_endable(client)
    if guarded:
        from ocelli.storage.guarded_http import guard

        guard(client, connect_timeout=CONNECT_TIMEOUT, read_timeout=READ_TIMEOUT)
    return client


@contextmanager
def _translated(bucket: str) -> Iterator[None]:
    """Translate errors of boto3, without their texts, which come from the server."""
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        NoCredentialsError,
        PartialCredentialsError,
    )

    try:
        yield
    except ClientError as error:
        raise _refusal(bucket, error.response) from None
    except (NoCredentialsError, PartialCredentialsError):
        raise StorageAccessDenied(f"There are no credentials for the bucket {bucket}.") from None
    except BotoCoreError as error:
        raise Unavailable(
            f"The bucket {bucket} does not answer right now ({type(error).__name__})."
        ) from None


def _refusal(bucket: str, response: dict[str, Any]) -> Exception:
    reported = str(response.get("Error", {}).get("Code", ""))
    code = reported if _CODE.fullmatch(reported) else "no reason given"
    status = response["ResponseMetadata"]["HTTPStatusCode"]
    if code == "NoSuchKey":
        return FileNotFoundError(f"no such object in the bucket {bucket}")
    if code == "NoSuchBucket" or status == 404:
        return StorageAccessDenied(f"The bucket {bucket} does not exist.")
    if status in _REFUSED:
        return StorageAccessDenied(f"The bucket {bucket} refuses access ({code}).")
    if can_be_retried(status) or code == "SlowDown":
        return Unavailable(f"The bucket {bucket} does not answer right now ({code}).")
    return StorageAccessDenied(f"The bucket {bucket} cannot be used ({code}, status {status}).")
