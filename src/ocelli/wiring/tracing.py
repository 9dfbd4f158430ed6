"""Tracing with OpenTelemetry: the extra ``tracing``, loaded only if ``otlp_endpoint`` is set.

Spans leave a process in batches, from a thread of its own. While the collector hangs, refuses or is
away they wait in a bounded queue, and beyond it the oldest are dropped: no request and no job waits
for a collector. What a process has left at its end it may send for ``EXIT_SECONDS``.

The program's tracer provider is left alone, so that libraries which trace by themselves send
nothing: what their spans hold is not ours to promise.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from prometheus_client import Counter

from ocelli import __version__
from ocelli.distribution import pip_install
from ocelli.domain.errors import error_type
from ocelli.domain.tracing import SCHEMA_URL, SpanKind, trace_with

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    from opentelemetry.trace import Span as OpenTelemetrySpan

    from ocelli.domain.tracing import Attribute, Span, TraceContext
    from ocelli.settings import Settings

log = logging.getLogger(__name__)

SERVICE = "ocelli"
PATH = "/v1/traces"
EXIT_SECONDS = 1.0
MAX_QUEUE = 2048  # spans; as the SDK has it, where OTEL_BSP_MAX_QUEUE_SIZE says nothing
_EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


SPANS = Counter("ocelli_spans_total", "Spans for the collector of traces", ["outcome"])


def lacks_tracing(settings: Settings) -> bool:
    """Return whether the settings ask for traces, and what makes them is not installed."""
    if settings.otlp_endpoint is None:
        return False
    try:
        return find_spec(_EXPORTER) is None or find_spec("opentelemetry.sdk.trace") is None
    except ModuleNotFoundError:  # of a package above
        return True


def how_to_install() -> str:
    """Return the command that installs what tracing needs."""
    return pip_install("server", "tracing")


def tracing(settings: Settings, process: str) -> AbstractContextManager[None]:
    """Make spans within the block, if the settings ask for them; ``process`` names this one."""
    if settings.otlp_endpoint is None or lacks_tracing(settings):
        return nullcontext()
    return _exporting(settings.otlp_endpoint + PATH, process)


@contextmanager
def _exporting(url: str, process: str) -> Iterator[None]:
    provider = _provider(url, process)
    trace_with(OpenTelemetryTracer(provider))
    try:
        yield
    finally:
        trace_with(None)
        ending = threading.Thread(target=provider.shutdown, name="last spans", daemon=True)
        ending.start()
        ending.join(EXIT_SECONDS)


def _provider(url: str, process: str) -> TracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    # It says each failure of each attempt anew; ``ReportingExporter`` says when they begin and end.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    resource = Resource.create(
        {
            "service.name": os.environ.get("OTEL_SERVICE_NAME") or SERVICE,
            "service.version": __version__,
            "service.instance.id": f"{socket.gethostname()}/{process}",
        }
    )
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    size = int(os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE") or MAX_QUEUE)
    queue = SpanQueue(size)
    exporter = reporting(OTLPSpanExporter(url), queue)
    batches = BatchSpanProcessor(exporter, max_queue_size=size)
    provider.add_span_processor(counting(batches, queue))
    return provider


class SpanQueue:
    """How many spans wait for the collector; counts those that found the queue full."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._waiting = 0
        self._lock = threading.Lock()

    def add(self) -> None:
        """A span is put in; in a full queue it takes the place of the oldest."""
        with self._lock:
            is_full = self._waiting >= self._size
            self._waiting += not is_full
        if is_full:
            SPANS.labels("dropped").inc()

    def take(self, count: int) -> None:
        """Spans are taken out, to be sent."""
        with self._lock:
            self._waiting = max(0, self._waiting - count)


def counting(processor: SpanProcessor, queue: SpanQueue) -> SpanProcessor:
    """Return the processor with its queue counted: it drops spans without a word."""
    from opentelemetry.sdk.trace import SpanProcessor

    class Counting(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            if span.context and span.context.trace_flags.sampled:
                queue.add()
            processor.on_end(span)

        def shutdown(self) -> None:
            processor.shutdown()

        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            return processor.force_flush(timeout_millis)

    return Counting()


def reporting(exporter: SpanExporter, queue: SpanQueue) -> SpanExporter:
    """Return an exporter that counts what ``exporter`` does, and logs when it begins to fail, and
    when it works again.
    """
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class ReportingExporter(SpanExporter):
        failing = False

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            queue.take(len(spans))
            result = exporter.export(spans)
            failed = result is not SpanExportResult.SUCCESS
            SPANS.labels("lost" if failed else "sent").inc(len(spans))
            if failed and not self.failing:
                log.warning("traces: the collector does not take them; spans are lost")
            elif self.failing and not failed:
                log.info("traces: the collector takes them again")
            self.failing = failed
            return result

        def shutdown(self) -> None:
            exporter.shutdown()

    return ReportingExporter()


class OpenTelemetryTracer:
    """``ocelli.domain.tracing.Tracer`` over a tracer provider."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._trace = trace
        self._tracer = provider.get_tracer(SERVICE, __version__, schema_url=SCHEMA_URL)
        self._propagator = TraceContextTextMapPropagator()
        self._kinds = {kind: trace.SpanKind[kind.name] for kind in SpanKind}

    @contextmanager
    def span(
        self,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, Attribute | None],
        parent: TraceContext | None,
        is_current: bool,
    ) -> Iterator[Span]:
        """See ocelli.domain.tracing.span."""
        started = self._tracer.start_span(
            name,
            context=None if parent is None else self._context_of(parent),
            kind=self._kinds[kind],
            attributes=_known(attributes),
        )
        made = _Span(self, started)
        current: AbstractContextManager[Any] = nullcontext()
        if is_current:
            current = self._trace.use_span(
                started, record_exception=False, set_status_on_exception=False
            )
        try:
            with current:
                yield made
        except BaseException as error:
            made.fail(error_type(error))
            raise
        finally:
            started.end()

    def context(self) -> TraceContext:
        """See ocelli.domain.tracing.current_context."""
        return self.context_of(self._trace.get_current_span())

    def ids(self) -> tuple[str, str] | None:
        """See ocelli.domain.tracing.current_ids."""
        context = self._trace.get_current_span().get_span_context()
        if not context.is_valid:
            return None
        return format(context.trace_id, "032x"), format(context.span_id, "016x")

    def context_of(self, span: OpenTelemetrySpan) -> TraceContext:
        """Return what makes a span elsewhere a child of ``span``."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, self._trace.set_span_in_context(span))
        return carrier

    def _context_of(self, parent: TraceContext) -> Context:
        from opentelemetry.context import Context

        return self._propagator.extract(parent, Context())


class _Span:
    """``ocelli.domain.tracing.Span`` over one of OpenTelemetry."""

    def __init__(self, tracer: OpenTelemetryTracer, span: OpenTelemetrySpan) -> None:
        self._tracer = tracer
        self._span = span
        self._failed = False

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def note(self, attributes: Mapping[str, Attribute | None]) -> None:
        self._span.set_attributes(_known(attributes))

    def fail(self, error_type: str) -> None:
        from opentelemetry.trace import Status, StatusCode

        if not self._failed:
            self._failed = True
            self._span.set_attribute("error.type", error_type)
            self._span.set_status(Status(StatusCode.ERROR))

    def context(self) -> TraceContext:
        return self._tracer.context_of(self._span)


def _known(attributes: Mapping[str, Attribute | None]) -> dict[str, Attribute]:
    return {name: value for name, value in attributes.items() if value is not None}
