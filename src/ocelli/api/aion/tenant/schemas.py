"""Bodies of ``/tenant``, field by field as clients know them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

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
