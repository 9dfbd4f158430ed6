"""What the routes of the console work with."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cachetools import TTLCache

if TYPE_CHECKING:
    from starlette.requests import Request

    from ocelli.api.services import Services
    from ocelli.usecases.console_sessions import ConsoleSessions

PATH = "/console"


FAILURES_KEPT_FOR = 60.0
MAX_ADDRESSES = 10_000


@dataclass
class Console:
    """The services of the console. ``owner`` names the tenant of the installation's owner."""

    services: Services
    sessions: ConsoleSessions
    owner: str
    _failures: TTLCache[str, int] = field(
        default_factory=lambda: TTLCache(MAX_ADDRESSES, FAILURES_KEPT_FOR)
    )

    def failures_of(self, address: str) -> int:
        """Return how often signing in from an address has just failed."""
        return int(self._failures.get(address, 0))

    def count_failure(self, address: str) -> None:
        """Count a failure; all of an address are forgotten a minute after the last."""
        self._failures[address] = self.failures_of(address) + 1

    @cached_property
    def prefix(self) -> str:
        """The path under which a proxy shows the server; empty without one."""
        return self.services.prefix

    @property
    def root(self) -> str:
        """The path of the console in addresses of its pages."""
        return self.prefix + PATH

    def is_secure(self, request: Request) -> bool:
        """Return whether browsers reach the server by TLS."""
        return (
            request.url.scheme == "https"
            or urlsplit(self.services.public_url or "").scheme == "https"
        )


def console_of(request: Request) -> Console:
    """Return the services of the console."""
    found: Console = request.app.state.console
    return found
