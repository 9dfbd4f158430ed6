"""Everything about one configured backend, in one frozen record."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ocelli.backends.providers import Structured

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocelli.backends.providers import Provider
    from ocelli.domain.claims import Tokens

FILES = "files"  # of ``options``: the hashes of a model that runs here, at another port each time
SHORTEST_SECRET = 4  # what is shorter occurs in other words


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars per million tokens; None where the settings name none."""

    input: float | None = None
    output: float | None = None

    def cost(self, tokens: Tokens) -> float | None:
        """Return the cost in US dollars; None if a needed price is unknown."""
        if self.input is None or self.output is None:
            return None
        return (tokens.prompt * self.input + tokens.completion * self.output) / 1_000_000


@dataclass(frozen=True, slots=True)
class BackendConfig:
    """``base_url`` without a slash at its end; ``key`` is sent as a bearer token and said nowhere.

    ``timeout`` is one attempt's, in seconds; ``deadline`` that of a look with all its waiting and
    retries. After ``breaker_failures`` failed attempts in a row nothing is sent for
    ``breaker_seconds``. ``proxy`` is for every request to it.
    ``sight_test``: it has to show that it sees before it describes. ``options`` are those of
    backends that other packages bring.
    """

    name: str
    provider: Provider
    base_url: str
    model: str
    key: str | None = field(default=None, repr=False)
    structured: Structured = Structured.NONE
    token_field: str = "max_tokens"  # noqa: S105 (a field's name)
    detail: bool = False
    max_side: int = 1024
    full_side: int = 1536
    jpeg_quality: int = 88
    max_tokens: int = 4000
    temperature: float | None = None
    timeout: float = 60.0
    deadline: float = 90.0
    concurrency: int = 64
    retries: int = 2
    breaker_failures: int = 5
    breaker_seconds: float = 15.0
    fetches_urls: bool = False
    sight_test: bool = True
    prices: Prices = Prices()
    proxy: str | None = None
    extra_headers: tuple[tuple[str, str], ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """Stands for what answers: kind, server, model, and what changes how it sees pictures."""
        server = "" if FILES in self.options else self.base_url
        parts = (
            self.provider.kind, server, self.model, self.max_side, self.full_side,
            self.jpeg_quality, sorted(map(repr, self.options.items())),
        )  # fmt: skip
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    @property
    def url(self) -> str:
        """Where chat requests go."""
        return f"{self.base_url}/chat/completions"

    def headers(self) -> dict[str, str]:
        """Return the headers of every request."""
        headers = dict(self.extra_headers)
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        return headers

    @property
    def secrets(self) -> tuple[str, ...]:
        """What is said to the server alone: its key, what headers hold, and where it is."""
        values = (self.key, *(value for _, value in self.extra_headers), urlsplit(self.url).netloc)
        return tuple(value for value in values if value and len(value) >= SHORTEST_SECRET)

    def side(self, *, thorough: bool) -> int:
        """Pixels of the longer side that the model is sent."""
        return self.full_side if thorough else self.max_side
