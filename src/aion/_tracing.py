"""OpenTelemetry spans, if wanted and installed. Nothing is imported otherwise."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aion.config import ClientConfig

log = logging.getLogger("aion")


class Tracing:
    """Makes one client span per request."""

    def __init__(self, config: ClientConfig) -> None:
        self._tracer = _tracer(config.tracing_service_name) if config.enable_tracing else None
        self._propagate = config.propagate_trace_context

    @contextmanager
    def span(self, endpoint: str, url: str, headers: dict[str, str]) -> Iterator[Any]:
        """A span around one request, its retries included; adds ``traceparent`` to ``headers``.

        Yields a function that notes one attribute on the span.
        """
        if self._tracer is None:
            yield _note_nothing
            return
        from opentelemetry import propagate, trace

        with self._tracer.start_as_current_span(
            f"aion {endpoint}",
            kind=trace.SpanKind.CLIENT,
            attributes={"http.request.method": endpoint.partition(" ")[0], "url.full": url},
        ) as span:
            if self._propagate:
                propagate.inject(headers)
            yield span.set_attribute


def _tracer(name: str) -> Any:
    try:
        from opentelemetry import trace
    except ImportError:
        log.warning("enable_tracing: opentelemetry-api is not installed, so there are no spans")
        return None
    return trace.get_tracer(name)


def _note_nothing(key: str, value: object) -> None:
    """Tracing is off."""
