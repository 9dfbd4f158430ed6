"""The backends of this installation, and who of them does what."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ocelli.backends.config import BackendConfig, Prices
from ocelli.backends.plugins import BackendContext, backend_factory
from ocelli.backends.providers import Structured, provider
from ocelli.backends.proxies import proxy_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import aiohttp

    from ocelli.domain.ports_backends import Backend, LocalModels, SightGate

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MissingKey:
    """A backend that is named in the settings and cannot be asked."""

    name: str
    variable: str


def configure(
    name: str, given: Mapping[str, Any], environment: Mapping[str, str]
) -> BackendConfig | MissingKey:
    """What ``settings.BackendSetting`` says (``given``, without what it leaves open) and its
    provider's row come to.

    A provider's own key variable is read for the provider's own address only: no other server is
    sent that key. At another address no key is needed.
    """
    row = provider(name, given.get("provider"))
    if row is None:
        raise ValueError(f"no provider for backend {name!r}")
    base_url = given.get("base_url") or row.base_url or ""
    model = given.get("model") or row.model or ""
    if row.is_server and not (base_url and model):
        raise ValueError(f"backend {name!r} needs a base_url and a model")
    at_home = base_url.rstrip("/") == (row.base_url or "").rstrip("/")
    variable = given.get("key_variable") or (row.key_variable if at_home else None)
    key = given.get("key") or (environment.get(variable) if variable else None)
    if variable and not key:
        return MissingKey(name, variable)
    input_price, output_price = (
        given.get(price, 0.0 if row.free else None) for price in ("input_price", "output_price")
    )
    plain = (
        "jpeg_quality", "max_tokens", "temperature", "timeout", "deadline", "concurrency",
        "retries", "breaker_failures", "breaker_seconds", "fetches_urls", "sight_test",
    )  # fmt: skip
    return BackendConfig(
        name=name,
        provider=row,
        base_url=base_url.rstrip("/"),
        model=model,
        key=key,
        structured=Structured(given.get("structured", row.structured)),
        token_field=given.get("token_field", row.token_field),
        detail=given.get("detail", row.detail),
        max_side=given.get("max_side", row.max_side),
        full_side=max(given.get("full_side", row.full_side), given.get("max_side", row.max_side)),
        prices=Prices(input_price, output_price),
        proxy=proxy_for(base_url),
        extra_headers=tuple(given.get("headers", {}).items()),
        options=given.get("options", {}),
        **{name: given[name] for name in plain if name in given},
    )


@dataclass(frozen=True, slots=True)
class BackendParts:
    """Who plays which part, where the settings say so."""

    default: str | None = None
    checker: str | None = None
    judge: str | None = None


@dataclass(slots=True)
class Registry:
    """Implements ports_backends.Backends. ``missing`` are those that are named and have no key.

    ``sight`` holds back those that have not shown that they see; never the local one.
    """

    local: LocalModels
    configured: Mapping[str, Backend] = field(default_factory=dict)
    parts: BackendParts = BackendParts()
    missing: tuple[MissingKey, ...] = ()
    sight: SightGate | None = None

    @property
    def names(self) -> Sequence[str]:
        """In the order of the settings, the local one last."""
        return (*self.configured, self.local.name)

    @property
    def default(self) -> Backend:
        """The backend that describes when a request names none."""
        return self._named(self.parts.default) or next(iter(self._usable.values()), self.local)

    def get(self, name: str) -> Backend | None:
        """Return the backend of this name; None if it is not configured, or held back."""
        return self._named(name)

    def checker(self, *others: str) -> Backend:
        """Who looks again: a model that is none of ``others``, if there is one.

        Two or more others: the judge between them. The local models come in only where they are
        all there is, or where the settings name them: what they find is evidence in every check
        already, and must not count twice. Where none is left, the first of ``others`` looks
        again at what it said.
        """
        part = self.parts.checker if len(set(others)) < 2 else self.parts.judge
        chosen = self._named(part)
        if chosen is not None and chosen.name not in others:
            return chosen
        other = next((chat for name, chat in self._usable.items() if name not in others), None)
        if other is not None:
            return other
        itself = self._named(others[0]) if others else None
        return itself or self.default

    def _named(self, name: str | None) -> Backend | None:
        if name is None:
            return None
        return self.local if name == self.local.name else self._usable.get(name)

    @property
    def _usable(self) -> Mapping[str, Backend]:
        sight = self.sight
        if sight is None:
            return self.configured
        return {
            name: backend
            for name, backend in self.configured.items()
            if sight.held_back(name) is None
        }


def registry(
    local: LocalModels,
    configured: Sequence[BackendConfig | MissingKey],
    session: aiohttp.ClientSession,
    parts: BackendParts = BackendParts(),
    sight: SightGate | None = None,
) -> Registry:
    """Return all backends over one ``session``, which the caller closes."""
    missing = tuple(each for each in configured if isinstance(each, MissingKey))
    for each in missing:
        log.warning("backend %s is not asked: %s holds no key", each.name, each.variable)
    context = BackendContext(session)
    made = {
        each.name: backend_factory(each.provider.kind)(each, context)
        for each in configured
        if isinstance(each, BackendConfig)
    }
    return Registry(local, made, parts, missing, sight)
