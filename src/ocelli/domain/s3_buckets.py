"""Buckets: address, credentials, and the stored configuration of a tenant's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class Bucket:
    """The address of a bucket: at AWS without ``endpoint_url``. Keys begin with ``prefix``."""

    name: str
    region: str
    endpoint_url: str | None = None
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Access keys of a bucket; ``repr`` does not show them."""

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class BucketConfig:
    """The stored configuration: ``sealed`` are the encrypted credentials; each change is a new
    ``version``.
    """

    tenant_id: UUID
    version: UUID
    bucket: Bucket
    configured_at: datetime
    sealed: bytes = field(repr=False)


def parse_bucket_url(url: str) -> Bucket:
    """Parse ``s3://bucket/prefix?endpoint=https://host&region=us-east-1``.

    Raises ValueError for any other form.
    """
    parts = urlsplit(url)
    options = parse_qs(parts.query, strict_parsing=bool(parts.query))
    unknown = options.keys() - {"endpoint", "region"}
    if parts.scheme != "s3" or not parts.netloc or unknown or parts.fragment:
        raise ValueError("must be s3://bucket/prefix?endpoint=https://host&region=us-east-1")
    prefix = unquote(parts.path).strip("/")
    return Bucket(
        name=parts.netloc,
        region=options.get("region", ["us-east-1"])[-1],
        endpoint_url=options.get("endpoint", [None])[-1],
        prefix=f"{prefix}/" if prefix else "",
    )
