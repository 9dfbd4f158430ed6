"""The tables of settings, and how lists and tables are read from text."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import NoDecode

from ocelli.backends.picture_embeddings import EmbeddingRequest
from ocelli.domain.accounts import MEGABYTE, TierLimits

T = TypeVar("T")


def listed(text: str) -> tuple[str, ...]:
    """Return what stands between commas."""
    return tuple(each.strip() for each in text.split(",") if each.strip())


def _names(value: Any) -> Any:
    """Parse a list that is given as text: separated by commas, or as JSON."""
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith("["):
        return listed(value)
    return _json(value, "names separated by commas, or a list in JSON")


def table(value: Any) -> Any:
    """Parse a table that is given as JSON text."""
    expected = 'a table in `ocelli.toml`, or JSON in the environment: `{"name": ...}`'
    return _json(value, expected) if isinstance(value, str) else value


def _json(text: str, expected: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError(f"must be {expected}") from None


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]
Table = Annotated[dict[str, T], NoDecode, BeforeValidator(table)]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
CountOrUnlimited = Count | Literal["unlimited"]

# What a tier calls its limit, where that is not what it is called here, and in which unit.
_UNITS = {
    "max_image_mb": ("max_image_bytes", MEGABYTE),
    "storage_gb": ("storage_bytes", 1024 * MEGABYTE),
}


class TierChange(BaseModel):
    """Changes of a tier's limits; see docs/settings.md."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests_per_minute: Count | None = None
    files_per_batch: int | None = Field(None, ge=1, le=50)
    concurrent_uploads: Count | None = None
    monthly_uploads: CountOrUnlimited | None = None
    monthly_descriptions: CountOrUnlimited | None = None
    max_image_mb: int | None = Field(None, ge=1, le=10_000)
    storage_gb: CountOrUnlimited | None = None

    def applied_to(self, limits: TierLimits) -> TierLimits:
        """Return ``limits`` with these changes."""
        changes: dict[str, Any] = {}
        for name, value in self.model_dump(exclude_none=True).items():
            field, unit = _UNITS.get(name, (name, 1))
            changes[field] = None if value == "unlimited" else value * unit
        return replace(limits, **changes)


def is_an_address(url: str | None) -> str | None:
    """Return an address without a slash at its end. Raises ValueError if it is none."""
    parts = urlsplit(url or "http://none")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must start with https:// or http://")
    return url and url.rstrip("/")


def is_a_collector(url: str | None) -> str | None:
    """Return the address of a collector without ``/v1/traces``. Raises ValueError if it is none."""
    address = is_an_address(url)
    return address and address.removesuffix("/v1/traces")


class BackendSetting(BaseModel):
    """One backend; see docs/settings.md."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: str | None = Field(
        None, description="A row of the table below. Default: the backend's own name."
    )
    base_url: str | None = Field(
        None, description="Where it is, up to and without `/chat/completions`."
    )
    model: str | None = Field(None, description="Which model it is asked for.")
    key: SecretStr | None = Field(None, description="Sent as a bearer token.")
    key_variable: str | None = Field(
        None, description="Environment variable that holds the key, where no `key` is given."
    )
    timeout: float = Field(60.0, gt=0, le=3600, description="Seconds for one attempt.")
    deadline: float = Field(
        90.0, gt=0, le=3600, description="Seconds for one look, with all waiting and retries."
    )
    concurrency: int = Field(
        64,
        ge=1,
        le=1000,
        description="Requests at a time, per worker process; of `ocelli bulk` in the whole run.",
    )
    retries: int = Field(
        2, ge=0, le=10, description="Attempts after the first, where another one can help."
    )
    breaker_failures: int = Field(
        5, ge=1, le=1000, description="Failures in a row after which it is left alone."
    )
    breaker_seconds: float = Field(15.0, gt=0, le=3600, description="For so long.")
    max_side: int | None = Field(
        None, ge=64, le=16_384, description="Longer side of the picture that it is sent, in pixels."
    )
    full_side: int | None = Field(
        None, ge=64, le=16_384, description="The same for a thorough look."
    )
    jpeg_quality: int = Field(88, ge=30, le=100, description="Of the picture that it is sent.")
    max_tokens: int = Field(
        4000, ge=64, le=1_000_000, description="Longest answer; models that think need more."
    )
    token_field: Literal["max_tokens", "max_completion_tokens"] | None = Field(
        None, description="What it calls that limit."
    )
    structured: Literal["json_schema", "json_object", "none"] | None = Field(
        None, description="What its answers can be held to."
    )
    detail: bool | None = Field(None, description="Whether it takes `detail` beside a picture.")
    temperature: float | None = Field(
        None, ge=0, le=2, description="Default: not sent, so the model's own."
    )
    input_price: float | None = Field(
        None, ge=0, description="US dollars per million tokens, for the metric of costs."
    )
    output_price: float | None = Field(None, ge=0, description="The same for what it writes.")
    fetches_urls: bool = Field(
        False,
        description="Whether chat requests pass addresses of pictures on to it as they are, and so "
        "the files with their metadata. By default we fetch them and send the picture alone.",
    )
    sight_test: bool = Field(
        True,
        description="Whether it has to show, on four generated pictures, that it sees before it "
        "describes, checks or judges: see sight.md. `false` shows it as unproved.",
    )
    headers: dict[str, str] = Field(
        default_factory=dict, description="More headers for every request."
    )
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="For a backend that another package brings: see write-a-backend.md.",
    )

    _is_an_address = field_validator("base_url")(is_an_address)


class PictureEmbedderSetting(BaseModel):
    """What embeds pictures: a server, or a model in a folder; see docs/search.md."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path | None = Field(
        None, description="Folder of a CLIP or SigLIP model: ONNX files as Hugging Face has them."
    )
    base_url: str | None = Field(
        None, description="Instead: where a server is, up to and without `/embeddings`."
    )
    model: str | None = Field(None, description="Which model the server is asked for.")
    request: EmbeddingRequest = Field(
        EmbeddingRequest.VLLM,
        description="The shape of requests: `vllm`, `sglang`, `jina` or `infinity`.",
    )
    key: SecretStr | None = Field(None, description="Sent as a bearer token.")
    key_variable: str | None = Field(
        None, description="Environment variable that holds the key, where no `key` is given."
    )
    timeout: float = Field(30.0, gt=0, le=600, description="Seconds for one request.")
    least_cosine: float = Field(
        0.2,
        ge=-1,
        le=1,
        description="Pictures with a lower cosine to the words of a search are not found by their "
        "looks: about 0.2 for CLIP, 0.05 for SigLIP.",
    )

    _is_an_address = field_validator("base_url")(is_an_address)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.folder is None) == (self.base_url is None):
            raise ValueError("give either folder or base_url")
        if self.base_url is not None and not self.model:
            raise ValueError("base_url needs a model")
        return self
