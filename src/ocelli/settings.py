"""Every setting, in one frozen object.

Environment variables ``OCELLI_*`` win over ``ocelli.toml`` in the current folder, which wins over
the defaults. Read where the program is put together, and nowhere else.
"""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from ocelli.backends.models.catalogue import ModelRunner, backend_name
from ocelli.backends.providers import problem
from ocelli.domain.accounts import KEY_PATTERN, MEGABYTE, TIER_LIMITS, Tier, TierLimits
from ocelli.domain.findings import LOCAL
from ocelli.domain.s3_buckets import parse_bucket_url
from ocelli.processors import processors
from ocelli.settings_file import read_settings_file
from ocelli.settings_tables import (
    BackendSetting,
    Names,
    PictureEmbedderSetting,
    Table,
    TierChange,
    is_a_collector,
    listed,
    table,
)

_PUBLIC_URL = re.compile(
    r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
    r"(?:/[A-Za-z0-9._~%!$&'()*+,=:@-]+)*/?"
)


class Settings(BaseSettings):
    """All settings of a server, a worker or a command."""

    model_config = SettingsConfigDict(env_prefix="OCELLI_", frozen=True, extra="forbid")

    data: Path = Field(
        Path(".ocelli"),
        description="Folder for everything that Ocelli keeps itself: the embedded Postgres, "
        "pictures, the first key.",
    )
    host: str = Field("127.0.0.1", description="Address that `ocelli serve` listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port of the API; 0 takes a free one.")
    trusted_proxies: str = Field(
        "127.0.0.0/8,::1/128",
        description="Networks of your reverse proxies, separated by commas. Only from there are "
        "`X-Forwarded-For`, `-Proto` and `-Host` believed, and connections are not counted as "
        "those of one client.",
    )
    connections_per_address: int = Field(
        256,
        ge=1,
        le=100_000,
        description="Connections that one client may have open. A client is an IPv4 address, or "
        "64 bits of an IPv6 address.",
    )
    workers: int = Field(
        default_factory=processors,
        ge=0,
        le=256,
        description="Worker processes that `ocelli serve` starts; each uses one core. "
        "Default: one per core.",
    )
    public_url: str | None = Field(
        None,
        description="Address under which clients reach the server, for absolute URLs in answers "
        "(`https://vision.example.com`); its path is the prefix under which a reverse proxy "
        "shows the server (`https://example.com/ocelli`). Default: whatever host the client used.",
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
    free_disk_mb: int = Field(
        64,
        ge=1,
        description="What has to stay free on the disks of `data` and of the pictures, in MB. With "
        "less, uploads are refused with 503, and reads go on.",
    )
    body_memory_mb: int = Field(
        192,
        ge=16,
        le=100_000,
        description="Memory that the bodies of requests may take together in an API process, in "
        "MB; three quarters of it for one tenant. What is more waits.",
    )
    max_pixels: int = Field(
        100_000_000,
        ge=10_000,
        description="Largest picture that is decoded, in pixels; of an animation, one frame. "
        "Decoding one may take 4 bytes of memory for each of them.",
    )
    analysis_timeout: float = Field(
        300.0,
        gt=0,
        description="Seconds that one analysis may take, all looks included. A worker that is "
        "stuck for longer is replaced.",
    )
    analyses_at_once: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="Analyses that one worker has under way at the same time. Default: 2, or 32 "
        "where `backends` are asked over HTTP, as it waits for them most of the time.",
    )
    precision: Literal["auto", "f32", "bf16"] = Field(
        "auto",
        description="What the local models calculate in. `bf16` is up to twice as fast where the "
        "processor has it; `auto` takes it there, else `f32`. Things, scenes and "
        "lines of text are always found in `f32`.",
    )
    cache: Path | None = Field(
        None,
        description="Folder for the compiled local models, about 140 MB, made on the first start. "
        "Default: `compiled` in `data`; for `ocelli describe` `ocelli` in `XDG_CACHE_HOME` "
        "(`~/.cache`).",
    )
    bulk_shard_rows: int = Field(
        5000, ge=1, le=1_000_000, description="Rows of one Parquet file of `ocelli bulk`."
    )
    bulk_shard_seconds: float = Field(
        15.0,
        gt=0,
        le=3600,
        description="Seconds after which `ocelli bulk` writes what it has, so that a kill loses no "
        "more than that.",
    )
    max_attempts: int = Field(
        3, ge=1, le=20, description="How often an analysis is tried before it is failed."
    )
    calibration: Path | None = Field(
        None,
        description="File that `ocelli eval --fit` wrote: how computed probabilities of claims "
        "become observed ones. Default: as computed.",
    )
    database_connections: int = Field(
        10, ge=2, le=100, description="Connections to Postgres per process, at most."
    )
    fetch_allow: str = Field(
        "",
        description="Networks that pictures may be fetched from although they are not public, "
        "separated by commas: `10.1.0.0/16,fd00:1::/64`.",
    )
    fetch_max_mb: int = Field(
        100, ge=1, le=10_000, description="Largest picture or video that is fetched, in MB."
    )
    fetch_timeout: float = Field(
        30.0, gt=0, le=600, description="Seconds that fetching one picture or video may take."
    )
    chat_model: str | None = Field(
        None,
        description="Which model answers as `default` at `/chat/completions`: the name of a "
        "backend, or `ocelli-local`, also with a level (`ocelli-local:standard`). "
        "Default: `default_backend`, else the first backend, else `ocelli-local`.",
    )
    chat_aliases: Table[str] = Field(
        {"gpt-4o": "default", "gpt-4-turbo": "default"},
        description="Other names for chat models: from what clients write to a backend, "
        "`ocelli-local`, one of these with a level, or `default`. A table `[chat_aliases]` in "
        "`ocelli.toml`, JSON in the environment.",
    )
    chat_fallback: Names = Field(
        (),
        description="Backends that are tried, in this order, where the one that a chat request "
        "asked for fails before it answers: names separated by commas, or a list.",
    )
    chat_max_mb: int = Field(
        75, ge=1, le=1024, description="Largest body of a chat request, in MB."
    )
    ollama_root: bool = Field(
        False,
        description="Whether Ollama's API is at the root too (`/api/generate`, `/api/chat`), for "
        "clients that know only a host and a port. It always is at `/api/ollama`.",
    )
    ollama_tenant: str | None = Field(
        None,
        min_length=1,
        description="Tenant as whom Ollama's API answers callers from `ollama_networks` who send "
        "no key of ours. Default: they are refused.",
    )
    ollama_networks: str = Field(
        "127.0.0.0/8,::1/128",
        description="Networks of such callers, separated by commas. Who comes through one of "
        "`trusted_proxies` has the address that `X-Forwarded-For` names.",
    )
    fetch_wait: float = Field(
        25.0,
        ge=0,
        le=600,
        description="Seconds that `/api/fetch` waits for the answer about a single picture; then "
        "the client is told to poll.",
    )
    fetch_max_frames: int = Field(
        600, ge=1, le=10_000, description="Most frames that are taken from one video."
    )
    model: str | None = Field(
        None,
        min_length=1,
        description="A vision-language model that `ocelli models pull` got, or `ollama:NAME`: it "
        "runs on this machine, as the first of `backends`. See [models](models.md).",
    )
    runner: ModelRunner = Field(
        ModelRunner.LLAMA_CPP,
        description="What runs `model`: `llamacpp`, or `vllm` where vLLM is installed. Each has "
        "models of its own. See [models](models.md#with-vllm).",
    )
    model_slots: int | None = Field(
        None,
        ge=1,
        le=64,
        description="Looks that the model has under way at the same time. Default: 4 on a graphics "
        "card that holds it, else 1, or 2 from 8 cores on; 16 with vLLM.",
    )
    model_threads: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="Threads of the model, with llama.cpp. Default: one per core.",
    )
    model_gpu_layers: int | None = Field(
        None,
        ge=0,
        le=1000,
        description="Layers of the model on the graphics card, with llama.cpp; 0 uses the "
        "processor alone. Default: as many as fit.",
    )
    model_gpu_share: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Share of the graphics card's memory that vLLM takes. Default: vLLM's own.",
    )
    model_context: int | None = Field(
        None,
        ge=2048,
        le=1_000_000,
        description="Tokens of one look or conversation: picture, question and answer. Default: "
        "8192, or 4096 where memory is short.",
    )
    models_dir: Path | None = Field(
        None,
        description="Folder of the models that `ocelli models pull` gets; those for vLLM are in "
        "`vllm` in it. Default: `models` in `data`.",
    )
    picture_embedder: Annotated[PictureEmbedderSetting | None, NoDecode, BeforeValidator(table)] = (
        Field(
            None,
            description="What embeds pictures, so that searches compare how they look too: a table "
            "`[picture_embedder]` in `ocelli.toml`, see below, JSON in the environment.",
        )
    )
    tiers: Annotated[dict[Tier, TierChange], NoDecode, BeforeValidator(table)] = Field(
        default_factory=dict,
        description="Other limits for tiers: a table `[tiers.free]` in `ocelli.toml`, JSON in the "
        'environment (`{"free": {"requests_per_minute": 60}}`). Per tier any of '
        "`requests_per_minute`, `files_per_batch`, `concurrent_uploads`, `monthly_uploads`, "
        "`monthly_descriptions`, `max_image_mb`, `storage_gb`; the monthly ones and "
        'the storage may be `"unlimited"`.',
    )
    backends: Table[BackendSetting] = Field(
        default_factory=dict,
        description="Models that describe and check pictures over the OpenAI chat protocol, in "
        "the order in which they are preferred: a table `[backends.NAME]` each in `ocelli.toml`, "
        'JSON in the environment (`{"openai": {}}`). See [Backends](#backends). None is ever '
        "asked that is not named here, whatever keys the environment holds.",
    )
    default_backend: str | None = Field(
        None,
        description="Which backend describes when a request names none. Default: the first of "
        "`backends`.",
    )
    checker: str | None = Field(
        None,
        description="Which backend checks what another has said. Default: the first that is not "
        "it.",
    )
    judge: str | None = Field(
        None,
        description="Which backend decides between the two. Default: the first that is neither.",
    )
    log_level: str = Field("info", description="debug, info, warning or error.")
    log_format: Literal["text", "json"] = Field(
        "text", description="Lines of the log for a person, or one JSON object each."
    )
    otlp_endpoint: str | None = Field(
        None,
        description="Where traces are sent, by OTLP over HTTP: a collector's address, up to and "
        "without `/v1/traces` (`http://localhost:4318`). Needs the extra `tracing`; see "
        "[monitoring](monitoring.md#traces). Default: there are none, and nothing is sent.",
    )

    _is_a_collector = field_validator("otlp_endpoint")(is_a_collector)

    @field_validator("public_url")
    @classmethod
    def _public_address_is_one(cls, url: str | None) -> str | None:
        """It goes into links, redirects, and the path of a cookie."""
        if url and (not _PUBLIC_URL.fullmatch(url) or {".", ".."} & {*url.split("/")}):
            raise ValueError("must be like https://host or https://host/path")
        return url or None

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

    @field_validator("fetch_allow", "trusted_proxies", "ollama_networks")
    @classmethod
    def _networks_are_networks(cls, networks: str) -> str:
        for each in listed(networks):
            ip_network(each)
        return networks

    @field_validator("log_level")
    @classmethod
    def _log_level_exists(cls, level: str) -> str:
        if level.lower() not in ("debug", "info", "warning", "error"):
            raise ValueError("must be debug, info, warning or error")
        return level.lower()

    @field_validator("backends")
    @classmethod
    def _backends_are_complete(
        cls, backends: dict[str, BackendSetting], info: ValidationInfo
    ) -> dict[str, BackendSetting]:
        for name, setting in backends.items():
            if name == backend_name(
                info.data.get("model") or ""
            ):  # where it is, is known when it runs
                continue
            wrong = problem(name, setting.provider, setting.base_url, setting.model)
            if wrong:
                raise ValueError(f"{name}: {wrong}")
        return backends

    @model_validator(mode="after")
    def _backends_of_roles_exist(self) -> Self:
        own = backend_name(self.model or "")
        for role in ("default_backend", "checker", "judge"):
            name = getattr(self, role)
            if name is not None and name not in (*self.backends, LOCAL, own):
                raise ValueError(f"{role}: there is no backend {name!r} in `backends`")
        known = {*self.backends, *(each.model for each in self.backends.values())}
        for name in self.chat_fallback:
            if name not in known:
                raise ValueError(f"chat_fallback: there is no backend {name!r} in `backends`")
        return self

    @property
    def tier_limits(self) -> dict[Tier, TierLimits]:
        """The limits of all tiers, with the changes of ``tiers``."""
        return {
            tier: self.tiers[tier].applied_to(limits) if tier in self.tiers else limits
            for tier, limits in TIER_LIMITS.items()
        }

    @property
    def models_folder(self) -> Path:
        """Where pulled models are that ``runner`` runs."""
        folder = (self.models_dir or self.data / "models").absolute()
        return folder if self.runner is ModelRunner.LLAMA_CPP else folder / self.runner

    @property
    def fetch_networks(self) -> tuple[str, ...]:
        """The networks of ``fetch_allow``."""
        return listed(self.fetch_allow)

    @property
    def ollama_callers(self) -> tuple[str, ...]:
        """``ollama_networks``, one by one."""
        return listed(self.ollama_networks)

    @property
    def proxy_networks(self) -> tuple[str, ...]:
        """The networks of ``trusted_proxies``."""
        return listed(self.trusted_proxies)

    @property
    def fetch_max_bytes(self) -> int:
        """``fetch_max_mb`` in bytes."""
        return self.fetch_max_mb * MEGABYTE

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
        """Return the sources by precedence: the command line, the environment, the file."""
        del dotenv_settings, file_secret_settings
        file = InitSettingsSource(settings_cls, read_settings_file())
        return init_settings, env_settings, file
