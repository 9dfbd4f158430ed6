"""A bucket of one's own."""

from aion.types._model import Model, record


@record
class S3ConfigStatus(Model):
    """Whether a bucket of one's own is configured."""

    configured: bool
    bucket_name: str | None = None
    region: str | None = None
    configured_at: str | None = None
    is_validated: bool | None = None
    error: str | None = None


@record
class S3ValidationResult(Model):
    """Whether the configured bucket can be used."""

    valid: bool
    bucket_name: str | None = None
    region: str | None = None
    error: str | None = None
