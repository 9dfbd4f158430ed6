"""Spans of calls to models, with the names that OpenTelemetry gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ocelli.domain.tracing import SpanKind, span

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from ocelli.domain.claims import Tokens
    from ocelli.domain.tracing import Attribute, Span

_PORTS = {"http": 80, "https": 443}


def model_span(
    operation: str,
    model: str,
    provider: str,
    base_url: str,
    attributes: Mapping[str, Attribute | None],
    *,
    is_current: bool = True,
) -> AbstractContextManager[Span]:
    """Give the span of one ``operation`` (``chat``, ``embeddings``) of a model.

    ``base_url`` is empty where the model runs in this process.
    """
    address = urlsplit(base_url)
    return span(
        f"{operation} {model}",
        SpanKind.CLIENT if address.hostname else SpanKind.INTERNAL,
        {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model,
            "server.address": address.hostname,
            "server.port": address.port or _PORTS.get(address.scheme),
            **attributes,
        },
        is_current=is_current,
    )


def note_answer(
    call: Span, *, model: str | None, tokens: Tokens | None, finish: str | None = None
) -> None:
    """Note which model answered, what it read and wrote, and why it ended."""
    call.note(
        {
            "gen_ai.response.model": model,
            "gen_ai.response.finish_reasons": [finish] if finish else None,
            "gen_ai.usage.input_tokens": tokens.prompt if tokens else None,
            "gen_ai.usage.output_tokens": tokens.completion if tokens else None,
        }
    )
