"""From the domain to the bodies of ``/tenant``, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.api.aion.tenant import schemas
from ocelli.domain.s3_buckets import Bucket, Credentials

if TYPE_CHECKING:
    from ocelli.domain.s3_buckets import BucketConfig
    from ocelli.domain.tagging import TagVocabulary


def bucket(body: schemas.S3Config) -> Bucket:
    """Return the bucket of a request."""
    return Bucket(body.bucket_name, body.region, body.endpoint_url)


def credentials(body: schemas.S3Config) -> Credentials:
    """Return the credentials of a request."""
    return Credentials(
        body.access_key_id.get_secret_value(), body.secret_access_key.get_secret_value()
    )


def s3_config(config: BucketConfig | None, *, tried: bool = False) -> schemas.S3ConfigStatus:
    """Return the body of a configuration."""
    if config is None:
        return schemas.S3ConfigStatus(configured=False)
    return schemas.S3ConfigStatus(
        configured=True,
        bucket_name=config.bucket.name,
        region=config.bucket.region,
        endpoint_url=config.bucket.endpoint_url,
        configured_at=config.configured_at,
        is_validated=tried or None,
    )


def s3_validation(config: BucketConfig | None, reason: str | None) -> schemas.S3Validation:
    """Return the body of a validation: whether the bucket can be used, or why not."""
    return schemas.S3Validation(
        valid=reason is None,
        bucket_name=config.bucket.name if config else None,
        region=config.bucket.region if config else None,
        error=reason,
    )


def default_vocabulary(asked: TagVocabulary | None) -> schemas.DefaultVocabulary:
    """Return the body of a tenant's default vocabulary."""
    return schemas.DefaultVocabulary(
        vocabulary=asked and asked.name,
        vocabulary_id=asked and asked.id,
        mode=asked and asked.mode,
    )
