"""Which request something is done for, through every process that does a part of it."""

from __future__ import annotations

from contextvars import ContextVar

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Of the request, or of the request that a job was enqueued by; None where there is none."""
