"""From the domain to the bodies of ``/tenant``, and back."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from ocelli.api.aion.tenant import schemas
from ocelli.api.aion.uploads.mapping import UNLIMITED
from ocelli.domain.erasures import RetentionDays
from ocelli.domain.s3_buckets import Bucket, Credentials
from ocelli.domain.tenant_settings import SettingsChange

if TYPE_CHECKING:
    from ocelli.domain.accounts import Tenant, TierLimits
    from ocelli.domain.s3_buckets import BucketConfig
    from ocelli.domain.tagging import TagVocabulary
    from ocelli.domain.tenant_settings import TenantSettings


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


def settings_change(body: schemas.TenantSettingsChange) -> SettingsChange:
    """Return the settings of a request."""
    days = body.retention_days
    return SettingsChange(
        name=body.name,
        webhook_url=body.webhook_url,
        allowed_providers=body.allowed_vlm_providers,
        allowed_domains=body.allowed_domains,
        custom_config=body.custom_config,
        retention_days=None if days is None else RetentionDays(**days.model_dump()),
    )


def settings(found: TenantSettings, tenant: Tenant, limits: TierLimits) -> schemas.TenantSettings:
    """Return the body of a tenant's settings."""
    descriptions = limits.monthly_descriptions
    return schemas.TenantSettings(
        id=str(found.id),
        name=found.name,
        owner_user_id=str(found.id),
        created_at=found.created_at,
        updated_at=found.updated_at,
        webhook_url=found.webhook_url,
        allowed_vlm_providers=list(found.allowed_providers),
        allowed_domains=list(found.allowed_domains),
        max_monthly_credits=UNLIMITED if descriptions is None else descriptions,
        max_requests_per_minute=tenant.requests_per_minute or limits.requests_per_minute,
        custom_config=dict(found.custom_config),
        retention_days=schemas.RetentionDays(**asdict(found.retention_days)),
        subscription_tier=found.tier,
        current_month_credits=found.month_credits,
        total_credits=found.total_credits,
        current_month_cost=found.month_cost,
        total_cost=found.total_cost,
    )
