"""Every setting, in one frozen object.

Environment variables ``OCELLI_*`` win over ``ocelli.toml`` in the current folder, which wins over
the defaults. Read where the program is put together, and nowhere else.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from ocelli.domain.accounts import KEY_PATTERN, MEGABYTE, TIER_LIMITS, Tier, TierLimits
from ocelli.domain.storage import parse_bucket_url

Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
CountOrUnlimited = Count | Literal["unlimited"]

# What a tier calls its limit, where that is not what it is called here, and in which unit.
_UNITS = {
    "max_image_mb": ("max_image_bytes", MEGABYTE),
    "storage_gb": ("storage_bytes", 1024 * MEGABYTE),
}


class TierChange(BaseModel):
    """What is different from the tier's own limits; see docs/settings.md."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests_per_minute: Count | None = None
    files_per_batch: int | None = Field(None, ge=1, le=50)
    concurrent_uploads: Count | None = None
    monthly_uploads: CountOrUnlimited | None = None
    monthly_descriptions: CountOrUnlimited | None = None
    max_image_mb: int | None = Field(None, ge=1, le=10_000)
    storage_gb: CountOrUnlimited | None = None

    def applied_to(self, limits: TierLimits) -> TierLimits:
        """``limits`` with these changes."""
        changes: dict[str, Any] = {}
        for name, value in self.model_dump(exclude_none=True).items():
            field, unit = _UNITS.get(name, (name, 1))
            changes[field] = None if value == "unlimited" else value * unit
        return replace(limits, **changes)


class Settings(BaseSettings):
    """All settings of a server, a worker or a command."""

    model_config = SettingsConfigDict(
        env_prefix="OCELLI_", toml_file="ocelli.toml", frozen=True, extra="forbid"
    )

    data: Path = Field(
        Path(".ocelli"),
        description="Folder for everything that Ocelli keeps itself: the embedded Postgres, "
        "pictures, the first key.",
    )
    host: str = Field("127.0.0.1", description="Address that `ocelli serve` listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port of the API; 0 takes a free one.")
    workers: int = Field(
        default_factory=lambda: (
            len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count() or 1
        ),
        ge=0,
        le=256,
        description="Worker processes that `ocelli serve` starts; each uses one core. "
        "Default: one per core.",
    )
    public_url: str | None = Field(
        None,
        description="Address under which clients reach the server, for absolute URLs in answers "
        "(`https://vision.example.com`). Default: whatever host the client used.",
    )
    database_url: SecretStr | None = Field(
        None,
        description="A Postgres (14 or newer) of your own, `postgresql://user:password@host/name`."
        " Default: the embedded one.",
    )
    storage_url: str | None = Field(
        None,
        description="Where pictures are kept: `file:///folder`, or "
        "`s3://bucket/prefix?endpoint=https://host&region=us-east-1` with the usual AWS "
        "credentials. Default: a folder in `data`.",
    )
    custom_s3_endpoint: str | None = Field(
        None,
        description="Where tenants' own buckets are if a tenant names no `endpoint_url`: a store "
        "that speaks S3, `https://minio.example.com`. Default: AWS.",
    )
    custom_s3_allow_private: bool = Field(
        False,
        description="Whether an `endpoint_url` that a tenant names may lead to addresses that are "
        "not public, such as those of your own network.",
    )
    bootstrap_key: SecretStr | None = Field(
        None,
        description="A fixed first key, for automation (`aion_` and at least 20 letters, digits, "
        "`_` or `-`). Default: one is made, printed once and kept in `data/api_key`.",
    )
    secret: SecretStr | None = Field(
        None,
        min_length=32,
        description="What signed URLs are signed with, at least 32 characters; the same on every "
        "machine of an installation. Default: one is made and kept in `data/secret`.",
    )
    max_upload_mb: int = Field(
        100, ge=1, le=10_000, description="Largest file of a streaming upload, in MB."
    )
    max_pixels: int = Field(
        100_000_000,
        ge=10_000,
        description="Largest picture that is decoded, in pixels; of an animation, one frame.",
    )
    analysis_timeout: float = Field(
        120.0,
        gt=0,
        description="Seconds after which a worker that is stuck on one picture is replaced.",
    )
    max_attempts: int = Field(
        3, ge=1, le=20, description="How often an analysis is tried before it is failed."
    )
    database_connections: int = Field(
        10, ge=2, le=100, description="Connections to Postgres per process, at most."
    )
    tiers: dict[Tier, TierChange] = Field(
        default_factory=dict,
        description="Other limits for tiers: a table `[tiers.free]` in `ocelli.toml`, JSON in the "
        'environment (`{"free": {"requests_per_minute": 60}}`). Per tier any of '
        "`requests_per_minute`, `files_per_batch`, `concurrent_uploads`, `monthly_uploads`, "
        "`monthly_descriptions`, `max_image_mb`, `storage_gb`; the monthly ones and "
        'the storage may be `"unlimited"`.',
    )
    log_level: str = Field("info", description="debug, info, warning or error.")

    @field_validator("bootstrap_key")
    @classmethod
    def _key_has_the_shape_of_a_key(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and not KEY_PATTERN.fullmatch(key.get_secret_value()):
            raise ValueError("must be `aion_` and at least 20 letters, digits, `_` or `-`")
        return key

    @field_validator("storage_url")
    @classmethod
    def _storage_is_known(cls, url: str | None) -> str | None:
        if url is not None and urlsplit(url).scheme not in ("file", "s3"):
            raise ValueError("must start with file:// or s3://")
        if url is not None and url.startswith("s3:"):
            parse_bucket_url(url)
        return url

    @field_validator("custom_s3_endpoint")
    @classmethod
    def _endpoint_is_an_address(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "http://none")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
            raise ValueError("must be https://host or http://host")
        return url and url.rstrip("/")

    @field_validator("log_level")
    @classmethod
    def _log_level_exists(cls, level: str) -> str:
        if level.lower() not in ("debug", "info", "warning", "error"):
            raise ValueError("must be debug, info, warning or error")
        return level.lower()

    @property
    def tier_limits(self) -> dict[Tier, TierLimits]:
        """The limits of every tier, with the changes of ``tiers``."""
        return {
            tier: self.tiers[tier].applied_to(limits) if tier in self.tiers else limits
            for tier, limits in TIER_LIMITS.items()
        }

    @property
    def max_upload_bytes(self) -> int:
        """``max_upload_mb`` in bytes."""
        return self.max_upload_mb * MEGABYTE

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments of the command line, then the environment, then the file."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)
