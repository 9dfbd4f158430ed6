"""What the client needs to know, from arguments or from the environment."""

from __future__ import annotations

import os
import re
import warnings
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from pathlib import Path
    from typing import TypeAlias

    from aion._http import HttpClient

    Certificates: TypeAlias = ssl.SSLContext | str | os.PathLike[str] | bool

DEFAULT_BASE_URL = "http://127.0.0.1:8000/api/v2"

ENV_API_KEY = "AIONVISION_API_KEY"
ENV_BASE_URL = "AIONVISION_BASE_URL"
ENV_TIMEOUT = "AIONVISION_TIMEOUT"
ENV_MAX_RETRIES = "AIONVISION_MAX_RETRIES"
ENV_RETRY_DELAY = "AIONVISION_RETRY_DELAY"
ENV_POLLING_INTERVAL = "AIONVISION_POLLING_INTERVAL"
ENV_POLLING_TIMEOUT = "AIONVISION_POLLING_TIMEOUT"
ENV_TENANT_ID = "AIONVISION_TENANT_ID"
ENV_PROXY_URL = "AIONVISION_PROXY_URL"
ENV_ENABLE_TRACING = "AIONVISION_ENABLE_TRACING"

_SECONDS = (
    "timeout",
    "retry_delay",
    "polling_interval",
    "polling_timeout",
    "circuit_breaker_timeout",
)
_ENVIRONMENT = {
    "api_key": (ENV_API_KEY, str),
    "base_url": (ENV_BASE_URL, str),
    "timeout": (ENV_TIMEOUT, float),
    "max_retries": (ENV_MAX_RETRIES, int),
    "retry_delay": (ENV_RETRY_DELAY, float),
    "polling_interval": (ENV_POLLING_INTERVAL, float),
    "polling_timeout": (ENV_POLLING_TIMEOUT, float),
    "tenant_id": (ENV_TENANT_ID, str),
    "proxy_url": (ENV_PROXY_URL, str),
    "enable_tracing": (ENV_ENABLE_TRACING, bool),
}

_KEY = re.compile(r"[a-z]+_[A-Za-z0-9_-]{20,}")
_KEY_HELP = (
    "Create one with `ocelli keys create` and pass it as api_key, or set AIONVISION_API_KEY."
)
_LOOPBACK = re.compile(r"localhost|.*\.localhost|127(\.\d{1,3}){3}|::1")
_PROXY_SCHEMES = frozenset({"http", "https", "socks5", "socks5h"})
_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"", "0", "false", "no", "off"})


class InsecureTransportWarning(UserWarning):
    """The key would travel unencrypted to another machine."""


def load_dotenv(dotenv_path: str | Path | None = None, *, override: bool = False) -> bool:
    """Load a ``.env`` file into the environment, for :meth:`AionVision.from_env`.

    Args:
        dotenv_path: the file; without it, ``.env`` is searched here and in the folders above.
        override: whether the file wins over variables that are already set.

    Returns:
        Whether something was loaded; False also if ``python-dotenv`` is not installed
        (``pip install python-dotenv``).
    """
    try:
        import dotenv
    except ImportError:
        return False
    path = dotenv_path or dotenv.find_dotenv(usecwd=True)
    return bool(path) and dotenv.load_dotenv(path, override=override)


def _from_environment(name: str) -> Any:
    return lambda: os.environ.get(name) or None


@dataclass
class ClientConfig:
    """All settings of a client.

    Attributes:
        api_key: ``aion_…``; made by ``ocelli keys create``.
        base_url: where the server's ``/api/v2`` is.
        timeout: seconds to wait for an answer.
        max_retries: how often a request that failed transiently is tried again.
        retry_delay: seconds; the base of the exponential backoff.
        polling_interval: seconds between two questions about a description, at most.
        polling_timeout: seconds to wait for a description.
        tenant_id: sent as ``X-Tenant-ID``.
        proxy_url: an ``http``, ``https`` or ``socks5`` proxy.
        circuit_breaker_enabled: stop asking an endpoint that fails again and again.
        circuit_breaker_failure_threshold: failures in a row that open the breaker.
        circuit_breaker_success_threshold: successes that close it again.
        circuit_breaker_timeout: seconds that it stays open.
        enable_logging: log requests to the logger ``aion`` (level DEBUG).
        enable_tracing: make OpenTelemetry spans, if ``opentelemetry`` is installed.
        tracing_service_name: name of the tracer.
        propagate_trace_context: send ``traceparent`` with traced requests.
        send_correlation_id: send ``X-Correlation-ID``, the same for all tries of a request:
            that of :func:`aion.set_correlation_id`, or one of its own.
        send_request_id: send ``X-Request-ID``, another for every try.
        verify: certificates that are trusted instead of the system's: a file or folder with
            them, or an ``ssl.SSLContext``; False trusts everything.
        http_client: an ``httpx2.AsyncClient`` of your own; closed with the client.
    """

    api_key: str = field(repr=False)
    base_url: str = DEFAULT_BASE_URL
    timeout: float = 300.0
    max_retries: int = 3
    retry_delay: float = 1.0
    polling_interval: float = 2.0
    polling_timeout: float = 360.0
    tenant_id: str | None = field(default_factory=_from_environment(ENV_TENANT_ID))
    proxy_url: str | None = field(default_factory=_from_environment(ENV_PROXY_URL), repr=False)
    circuit_breaker_enabled: bool = True
    circuit_breaker_failure_threshold: int = 5
    circuit_breaker_success_threshold: int = 2
    circuit_breaker_timeout: float = 30.0
    enable_logging: bool = True
    enable_tracing: bool = False
    tracing_service_name: str = "aionvision-sdk"
    propagate_trace_context: bool = True
    send_correlation_id: bool = True
    send_request_id: bool = True
    verify: Certificates = True
    http_client: HttpClient | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_api_key(self.api_key)
        self.base_url = _checked_url(self.base_url)
        for name in _SECONDS:
            _require(getattr(self, name) > 0, f"{name} must be a positive number of seconds")
        _require(self.max_retries >= 0, "max_retries must not be negative")
        for name in ("circuit_breaker_failure_threshold", "circuit_breaker_success_threshold"):
            _require(getattr(self, name) >= 1, f"{name} must be at least 1")
        if self.http_client is not None:
            _require(self.verify is True, "give verify to http_client, not beside it")
            return
        if self.verify is False and not self.is_loopback:
            warnings.warn(
                "verify=False: the certificate of the server is not checked, so another one in its "
                "place could read the key.",
                InsecureTransportWarning,
                stacklevel=_depth_of_caller(),
            )
        if self.proxy_url is not None:
            scheme = urlsplit(self.proxy_url).scheme
            _require(
                scheme in _PROXY_SCHEMES,
                f"proxy_url must begin with http://, https:// or socks5://, not {scheme!r}",
            )

    @classmethod
    def from_env(
        cls,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout: float | None = None,
        max_retries: int | None = None,
        retry_delay: float | None = None,
        polling_interval: float | None = None,
        polling_timeout: float | None = None,
        tenant_id: str | None = None,
        proxy_url: str | None = None,
        enable_tracing: bool | None = None,
        **others: Any,
    ) -> Self:
        """The settings of the environment; what is given wins over it, None counts as not given.

        Raises:
            ValueError: no key, or a variable that cannot be read as what it should be.
        """
        values = read_environment(os.environ)
        known = {f.name for f in fields(cls)}
        if unknown := others.keys() - known:
            raise TypeError(f"unknown settings: {', '.join(sorted(unknown))}")
        named = {
            "api_key": api_key,
            "base_url": base_url,
            "timeout": timeout,
            "max_retries": max_retries,
            "retry_delay": retry_delay,
            "polling_interval": polling_interval,
            "polling_timeout": polling_timeout,
            "tenant_id": tenant_id,
            "proxy_url": proxy_url,
            "enable_tracing": enable_tracing,
        }
        values |= {name: value for name, value in named.items() if value is not None}
        return cls(**{"api_key": "", **values, **others})

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine."""
        return _is_loopback(self.base_url)

    @property
    def auth_header(self) -> dict[str, str]:
        """The header that carries the key."""
        return {"Authorization": f"Bearer {self.api_key}"}

    @property
    def default_headers(self) -> dict[str, str]:
        """The headers of every request to the server."""
        return self.auth_header | ({"X-Tenant-ID": self.tenant_id} if self.tenant_id else {})


def read_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """The settings that ``environ`` holds, converted.

    >>> read_environment({"AIONVISION_TIMEOUT": "30", "AIONVISION_ENABLE_TRACING": "yes"})
    {'timeout': 30.0, 'enable_tracing': True}
    """
    return {
        name: _convert(variable, kind, environ[variable])
        for name, (variable, kind) in _ENVIRONMENT.items()
        if environ.get(variable)
    }


def _convert(variable: str, kind: type, text: str) -> Any:
    if kind is bool:
        if text.lower() not in _TRUE | _FALSE:
            raise ValueError(f"{variable} must be true or false, not {text!r}")
        return text.lower() in _TRUE
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"{variable} must be a number, not {text!r}") from None


def check_api_key(key: str) -> None:
    """Refuse a key that cannot be one, with advice.

    >>> check_api_key("aion_...")
    Traceback (most recent call last):
    ...
    ValueError: 'aion_...' is the placeholder of the documentation, not a key. Create one with \
`ocelli keys create` and pass it as api_key, or set AIONVISION_API_KEY.
    """
    if not key or not isinstance(key, str):
        raise ValueError(f"No API key. {_KEY_HELP}")
    if "..." in key or "…" in key or "YOUR_API_KEY" in key.upper():
        raise ValueError(f"{key!r} is the placeholder of the documentation, not a key. {_KEY_HELP}")
    if not _KEY.fullmatch(key):
        raise ValueError(
            "This is not an API key: one looks like aion_ and at least 20 letters, digits, "
            f"- or _. {_KEY_HELP}"
        )


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    _require(
        parts.scheme in ("http", "https") and bool(parts.hostname),
        f"base_url must begin with http:// or https:// and name a host, not {url!r}",
    )
    if parts.scheme == "http" and not _is_loopback(url):
        warnings.warn(
            f"The key travels unencrypted to {parts.hostname}: use https:// if you can.",
            InsecureTransportWarning,
            stacklevel=_depth_of_caller(),
        )
    url = url.rstrip("/")
    return url if parts.path.strip("/") else f"{url}/api/v2"


def _is_loopback(url: str) -> bool:
    return _LOOPBACK.fullmatch(urlsplit(url).hostname or "") is not None


def _depth_of_caller() -> int:
    """The stack level of the code that uses this package."""
    import sys

    depth, frame = 2, sys._getframe(1)
    while frame.f_back and f"{frame.f_back.f_globals.get('__name__')}.".startswith("aion."):
        depth, frame = depth + 1, frame.f_back
    return depth


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
