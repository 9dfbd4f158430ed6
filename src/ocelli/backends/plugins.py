"""Kinds of backends and providers, found by entry points: ours and those of other packages.

    [project.entry-points."ocelli.backends"]
    brightness = "ocelli_brightness:brightness_backend"     # a BackendFactory

    [project.entry-points."ocelli.providers"]
    acme = "acme_ocelli:ACME"                                # a Provider

See docs/write-a-backend.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Protocol

from ocelli.backends.chat.pictures import DataUrls
from ocelli.backends.providers import BACKENDS, backend_kinds

if TYPE_CHECKING:
    import aiohttp

    from ocelli.backends.config import BackendConfig
    from ocelli.domain.ports_backends import Backend


@dataclass(frozen=True, slots=True)
class BackendContext:
    """What a process lends its backends: one HTTP session, and pictures encoded once for all."""

    session: aiohttp.ClientSession
    urls: DataUrls = field(default_factory=DataUrls)


class BackendFactory(Protocol):
    """What an entry point of the group ``ocelli.backends`` leads to."""

    def __call__(self, config: BackendConfig, context: BackendContext) -> Backend:
        """Create the backend of a ``[backends.NAME]``; opens and loads nothing yet."""
        ...


def backend_factory(kind: str) -> BackendFactory:
    """Imports the package that has it. Raises LookupError if none is installed."""
    for entry in entry_points(group=BACKENDS, name=kind):
        factory: BackendFactory = entry.load()
        return factory
    raise LookupError(
        f"there is no backend of kind {kind!r}; installed are {', '.join(sorted(backend_kinds()))}"
    )
