"""A bucket of a tenant's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where it is; without ``endpoint_url`` at AWS. ``prefix`` begins every key in it."""

    name: str
    region: str
    endpoint_url: str | None = None
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Never shown, not even by ``repr``."""

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class BucketConfig:
    """What is stored: ``sealed`` holds the credentials, encrypted; ``version`` changes with it."""

    tenant_id: UUID
    version: UUID
    bucket: Bucket
    configured_at: datetime
    sealed: bytes = field(repr=False)


def parse_bucket_url(url: str) -> Bucket:
    """``s3://bucket/prefix?endpoint=https://host&region=us-east-1``. Raises ValueError."""
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
