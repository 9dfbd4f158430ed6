"""Which request something is done for, through every process that does a part of it."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ocelli.domain.tracing import TraceContext, current_context

if TYPE_CHECKING:
    from collections.abc import Mapping

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Of the request, or of the request that a job was enqueued by; None where there is none."""

_REQUEST, _TRACE = "request_id", "trace_context"
ORIGIN_ARGUMENTS = frozenset({_REQUEST, _TRACE})


@dataclass(frozen=True, slots=True)
class Origin:
    """The request that a job is enqueued by, and the span in which that is done."""

    request_id: str | None = None
    trace: TraceContext = field(default_factory=dict)

    @classmethod
    def current(cls) -> Origin:
        """Return that of the present request."""
        return cls(REQUEST_ID.get(), current_context())

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Origin:
        """Return that of a job with these arguments."""
        request_id = arguments.get(_REQUEST)
        return cls(str(request_id) if request_id else None, arguments.get(_TRACE) or {})

    def arguments(self) -> dict[str, Any]:
        """Return what a job carries of it; nothing of what there is not."""
        carried = {_REQUEST: self.request_id, _TRACE: dict(self.trace)}
        return {name: value for name, value in carried.items() if value}
