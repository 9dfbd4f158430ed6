"""Pictures in buckets of S3, or of another server with its protocol (``AWS_ENDPOINT_URL``)."""

from __future__ import annotations

import re
import tempfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocelli.domain.errors import AnalysisFailed, FailureType, TooLarge
from ocelli.domain.http_status import can_be_retried

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEME = "s3://"
CONNECTIONS = 64
CONNECT_TIMEOUT, READ_TIMEOUT = 10.0, 60.0  # seconds
MEGABYTE = 1024 * 1024
_MAGIC = re.compile(r"[*?[]")
_WILDCARDS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


class BucketFailed(Exception):
    """A bucket does not answer, or refuses; the message is its own."""


def listed(address: str) -> Iterator[str]:
    """Yield the addresses of the objects that match, in the order of the bucket.

    Without a wildcard these are the object itself, or all that lie below. Raises BucketFailed.
    """
    bucket, _, pattern = address.removeprefix(SCHEME).partition("/")
    magic = _MAGIC.search(pattern)
    prefix = pattern[: magic.start()] if magic else pattern
    below = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
    expression = re.compile(_expression(pattern))
    with _failing(address):
        pages = _client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for page in pages:
            for found in page.get("Contents", ()):
                key = found["Key"]
                if key.endswith("/"):
                    continue
                if expression.fullmatch(key) if magic else key == prefix or key.startswith(below):
                    yield f"{SCHEME}{bucket}/{key}"


@contextmanager
def downloaded(address: str) -> Iterator[Path]:
    """Give an object as a file of its own name, for the length of the block.

    Raises BucketFailed.
    """
    bucket, _, key = address.removeprefix(SCHEME).partition("/")
    with tempfile.TemporaryDirectory(prefix="ocelli-bulk-") as folder:
        path = Path(folder) / key.rpartition("/")[2]
        with _failing(address):
            _client().download_file(bucket, key, str(path))
        yield path


def read(address: str, max_bytes: int) -> bytes:
    """Return an object. Blocking. Raises TooLarge, AnalysisFailed."""
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, _, key = address.removeprefix(SCHEME).partition("/")
    try:
        found = _client().get_object(Bucket=bucket, Key=key)
        with found["Body"] as body:  # closed unread if it is too large
            is_larger = found["ContentLength"] > max_bytes
            data: bytes = b"" if is_larger else body.read(max_bytes + 1)
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        again = can_be_retried(status)
        raise AnalysisFailed(
            FailureType.TIMEOUT if again else FailureType.VALIDATION,
            f"The bucket answers with status {status}.",
            retryable=again,
        ) from error
    except (BotoCoreError, OSError) as error:
        raise AnalysisFailed(
            FailureType.TIMEOUT, f"The bucket does not answer: {error}", retryable=True
        ) from error
    if is_larger or len(data) > max_bytes:
        raise TooLarge(f"The file is larger than the limit of {max_bytes // MEGABYTE} MB.")
    return data


@cache
def _client() -> Any:
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        config=Config(
            max_pool_connections=CONNECTIONS,
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            retries={"mode": "standard", "max_attempts": 3},
        ),
    )


@contextmanager
def _failing(address: str) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise BucketFailed(f"{address} cannot be read: {error}") from error


def _expression(pattern: str) -> str:
    """Return the regular expression of a pattern in which ``**`` matches folders too."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]*\])", pattern)
    return "".join(
        _WILDCARDS.get(part)
        or (part.replace("[!", "[^") if part.startswith("[") else re.escape(part))
        for part in parts
    )
