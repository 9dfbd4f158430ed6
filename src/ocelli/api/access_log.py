"""The access log: a line and a count for each answer."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import Counter, Histogram

if TYPE_CHECKING:
    from starlette.types import Scope

log = logging.getLogger("ocelli.access")

REQUESTS = Counter("ocelli_http_requests_total", "Answers given", ["route", "method", "status"])
SECONDS = Histogram(
    "ocelli_http_request_seconds",
    "Time from the head of a request to the last byte of its answer",
    ["route", "method"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
PROBES = frozenset({"/health/live", "/health/ready", "/metrics"})  # every few seconds, for ever
NO_ROUTE = "none"
CLIENT_LEFT = 499  # no answer was begun


@dataclass(frozen=True, slots=True)
class Answered:
    """The logged fields of a request: neither its query nor its key."""

    method: str
    route: str
    status: int
    seconds: float
    request_id: str
    key_id: str | None = None

    def note(self) -> None:
        """Count the answer and log its line."""
        method = self.method if self.method in METHODS else "other"
        REQUESTS.labels(self.route, method, self.status).inc()
        SECONDS.labels(self.route, method).observe(self.seconds)
        level = logging.DEBUG if self.route in PROBES else logging.INFO
        if log.isEnabledFor(level):
            fields = {
                "method": method,
                "route": self.route,
                "status": self.status,
                "ms": round(self.seconds * 1000, 1),
                "key_id": self.key_id,
                "request_id": self.request_id,
            }
            log.log(level, "request", extra=fields)


def route_of(scope: Scope) -> str:
    """Return the template of the request's route, with its prefix; ``NO_ROUTE`` without one."""
    route = scope.get("route")
    if route is None:
        if scope.get("endpoint") is None:
            return NO_ROUTE
        # Plain routes have no parameters; what is mounted is one.
        root: str = scope.get("root_path", "")
        return f"{root}/*" if root else str(scope["path"])
    template: str = route.path_format
    mounted_at: str = scope.get("root_path", "").removeprefix(scope.get("app_root_path", ""))
    return mounted_at + template
