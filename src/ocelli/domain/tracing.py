"""Spans: what a request, a job or a call to a model took, for the traces of an operator.

This is the one door to them, as tracing is off for most: then no library of it is loaded, a span
keeps nothing and costs a call. ``ocelli.wiring.tracing`` opens it at the start of a process.

Names of spans and attributes are those of OpenTelemetry's semantic conventions, in the revision
``CONVENTIONS``; what they have no name for begins with ``ocelli.``. No attribute may hold what a
picture shows, a prompt, an answer, an address with its path or query, or a key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

# The last with the conventions of generative models in it: from 1.42 on they are in a repository of
# their own, which has no release. A change of it is one of names on dashboards of others.
CONVENTIONS = "1.41.1"
SCHEMA_URL = f"https://opentelemetry.io/schemas/{CONVENTIONS}"

TRACE_HEADERS = ("traceparent", "tracestate")
Attribute = str | int | float | bool | Sequence[str]
TraceContext = Mapping[str, str]
"""The headers of W3C Trace Context, ``traceparent`` and ``tracestate``; empty without a span."""


class SpanKind(StrEnum):
    """Which side of a call a span is."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    CONSUMER = "consumer"


class Span(Protocol):
    """A span that has begun."""

    def rename(self, name: str) -> None:
        """Change the name."""
        ...

    def note(self, attributes: Mapping[str, Attribute | None]) -> None:
        """Set attributes, but for those that are None."""
        ...

    def fail(self, error_type: str) -> None:
        """Mark the span as failed; the first ``error_type`` of several stays."""
        ...

    def context(self) -> TraceContext:
        """Return what makes a span elsewhere a child of this one."""
        ...


class Tracer(Protocol):
    """Makes spans."""

    def span(
        self,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, Attribute | None],
        parent: TraceContext | None,
        is_current: bool,
    ) -> AbstractContextManager[Span]:
        """See ``span``."""
        ...

    def context(self) -> TraceContext:
        """See ``current_context``."""
        ...

    def ids(self) -> tuple[str, str] | None:
        """See ``current_ids``."""
        ...


class _NoSpan:
    """What there is while tracing is off."""

    def rename(self, name: str) -> None:
        pass

    def note(self, attributes: Mapping[str, Attribute | None]) -> None:
        pass

    def fail(self, error_type: str) -> None:
        pass

    def context(self) -> TraceContext:
        return {}


NO_SPAN: Span = _NoSpan()
_NONE: AbstractContextManager[Span] = nullcontext(NO_SPAN)
_NOTHING: Mapping[str, Attribute | None] = {}
_tracer: Tracer | None = None


def trace_with(tracer: Tracer | None) -> None:
    """Make the spans of this process with ``tracer`` from now on; None: make none."""
    global _tracer
    _tracer = tracer


def span(
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, Attribute | None] = _NOTHING,
    *,
    parent: TraceContext | None = None,
    is_current: bool = True,
) -> AbstractContextManager[Span]:
    """Give a span that lasts as long as the block.

    It is a child of the current span, or of the one that ``parent`` names; an empty ``parent``
    begins a trace. What the block raises marks it as failed, by its type and never by its words.
    With ``is_current=False`` spans that begin within the block are no children of it, and the block
    may end in another task.
    """
    if _tracer is None:
        return _NONE
    return _tracer.span(name, kind, attributes, parent, is_current)


def current_context() -> TraceContext:
    """Return what makes a span elsewhere a child of the current one."""
    return {} if _tracer is None else _tracer.context()


def current_ids() -> tuple[str, str] | None:
    """Return the ids of the current trace and span, in hexadecimal digits; None without one."""
    return None if _tracer is None else _tracer.ids()
