"""OpenTelemetry spans, if wanted and installed, and ids that tell requests of one task.

Nothing of OpenTelemetry is imported otherwise.
"""

from __future__ import annotations

import importlib.util
import logging
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aion.config import ClientConfig

log = logging.getLogger("aion")

current_correlation_id: ContextVar[str | None] = ContextVar("correlation_id", default=None)
_configured: dict[str, Any] = {}  # arguments of ``get_tracer``


def set_correlation_id(correlation_id: str) -> None:
    """Send this as ``X-Correlation-ID`` with all requests of the current task or thread."""
    current_correlation_id.set(correlation_id)


def is_tracing_available() -> bool:
    """Return whether OpenTelemetry can be imported."""
    return importlib.util.find_spec("opentelemetry") is not None


def configure_tracing(
    *,
    service_name: str = "aionvision-sdk",
    service_version: str | None = None,
    endpoint: str | None = None,
    tracer_provider: Any = None,
) -> bool:
    """Choose where spans go, for clients with ``enable_tracing`` that are made from now on.

    Without a call they go to the tracer provider of the program.

    Args:
        service_name: what the spans' service is called, if a provider is made.
        service_version: its version.
        endpoint: where a provider that is made sends its spans, by OTLP over HTTP. This needs
            ``opentelemetry-exporter-otlp-proto-http``.
        tracer_provider: a provider of your own instead.

    Returns:
        Whether it was done; False if what it needs is not installed.
    """
    if not is_tracing_available():
        return False
    if tracer_provider is None and endpoint is not None:
        try:
            tracer_provider = _provider_for(endpoint, service_name, service_version)
        except ImportError as error:
            log.warning("configure_tracing: %s", error)
            return False
    _configured["tracer_provider"] = tracer_provider
    _configured["instrumenting_library_version"] = service_version
    return True


def _provider_for(endpoint: str, name: str, version: str | None) -> Any:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    attributes = {"service.name": name} | ({"service.version": version} if version else {})
    provider = TracerProvider(resource=Resource.create(attributes))
    exporter = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    provider.add_span_processor(BatchSpanProcessor(exporter.OTLPSpanExporter(endpoint=endpoint)))
    return provider


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
    return trace.get_tracer(name, **_configured)


def _note_nothing(key: str, value: object) -> None:
    """Tracing is off."""
