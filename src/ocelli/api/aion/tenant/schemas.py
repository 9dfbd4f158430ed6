"""Bodies of ``/tenant``, field by field as clients know them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from ocelli.api.aion.describe.schemas import WebhookUrl
from ocelli.domain.accounts import Tier
from ocelli.domain.choosing import Mode
from ocelli.domain.vocabulary import MAX_NAME


class S3Config(BaseModel):
    """A bucket of one's own. At AWS a key id has 16 characters or more, a secret 20 or more."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "access_key_id": "AKIAIOSFODNN7EXAMPLE",
                    "secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                    "bucket_name": "my-company-uploads",
                    "region": "us-east-1",
                }
            ]
        }
    )

    access_key_id: Annotated[SecretStr, Field(min_length=3, max_length=128)]
    secret_access_key: Annotated[SecretStr, Field(min_length=3, max_length=128)]
    bucket_name: str = Field(min_length=3, max_length=63)
    region: str = Field(min_length=2, max_length=32, examples=["us-east-1"])
    endpoint_url: str | None = Field(
        None,
        max_length=255,
        description="`https://host` of a store that speaks S3. Default: AWS, or what the "
        "operator has set.",
    )


class S3ConfigStatus(BaseModel):
    """Which bucket is configured; never its credentials."""

    configured: bool
    bucket_name: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    configured_at: datetime | None = None
    is_validated: bool | None = Field(None, description="Whether it was tried; null: not now.")
    error: str | None = None


class S3Validation(BaseModel):
    """Whether the bucket can be used right now."""

    valid: bool
    bucket_name: str | None = None
    region: str | None = None
    error: str | None = None


class S3Removed(BaseModel):
    """Whether there was something to remove."""

    removed: bool
    message: str


class DefaultVocabularyChange(BaseModel):
    """The vocabulary that tags are chosen from where a request names none."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"vocabulary": "animals", "mode": "prefer"}]}
    )

    vocabulary: str = Field(min_length=1, max_length=MAX_NAME, description="Its id or name.")
    mode: Literal["strict", "prefer"] = Field(
        "strict", description="`strict`: only terms. `prefer`: others too, as `new`."
    )


class DefaultVocabulary(BaseModel):
    """The vocabulary that tags are chosen from where a request names none; nulls for no such."""

    vocabulary: str | None
    vocabulary_id: str | None
    mode: Mode | None


Text = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]


Days = Annotated[int, Field(ge=1, le=36_500)] | None


class RetentionDays(BaseModel):
    """After how many days what is erased for good; null: it is kept."""

    pictures: Days = Field(
        None, description="Since the upload, with all that was derived from them.", examples=[365]
    )
    chat_sessions: Days = Field(None, description="Since the last message.", examples=[90])
    request_log: Days = Field(None, description="It is kept for 30 days at most.", examples=[7])


class TenantSettingsChange(BaseModel):
    """New settings."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "Acme Corporation", "allowed_vlm_providers": ["openai"]}]
        }
    )

    name: Text | None = None
    webhook_url: WebhookUrl = None
    allowed_vlm_providers: list[Text] | None = Field(None, max_length=100)
    allowed_domains: list[Text] | None = Field(None, max_length=100)
    custom_config: dict[str, Any] | None = Field(
        None, description="Anything of your own, at most 16 KB of JSON. Replaced as a whole."
    )
    retention_days: RetentionDays | None = Field(
        None, description="Replaced as a whole: a kind that is not named is kept. `{}`: all is."
    )


class TenantSettings(BaseModel):
    """The settings of a tenant."""

    id: str
    name: str
    owner_user_id: str | None = Field(description="As in `GET /tenant/members`.")
    created_at: datetime
    updated_at: datetime
    is_active: bool = True
    webhook_url: str | None
    allowed_vlm_providers: list[str]
    allowed_domains: list[str]
    max_monthly_credits: int = Field(description="Descriptions a month; 2147483647: unlimited.")
    max_requests_per_minute: int
    custom_config: dict[str, Any]
    retention_days: RetentionDays
    subscription_tier: Tier
    subscription_expires_at: datetime | None = None
    current_month_credits: int
    total_credits: int
    current_month_cost: float = Field(
        description="US dollars of model calls whose price is known; the server charges nothing."
    )
    total_cost: float
    supports_overage: bool = False
    included_credits: int = 0
    overage_credits_used: int = 0
    max_overage_credits: int = 0
    overage_cost: float = 0.0
