"""Spans with the names that OpenTelemetry gives generative models."""

from __future__ import annotations

from collections.abc import Iterator

import aiohttp
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from tests.upstream import scenes
from tests.upstream.trouble import TroubleServer

from ocelli.backends.chat.backend import chat_backend
from ocelli.backends.config import BackendConfig
from ocelli.backends.plugins import BackendContext
from ocelli.backends.registry import configure
from ocelli.domain.errors import AnalysisFailed
from ocelli.domain.questions import Question
from ocelli.media.decode import decode


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield kept
    provider.shutdown()


async def test_a_span_per_look(exporter: InMemorySpanExporter) -> None:
    picture = decode(scenes.picture(1), max_pixels=10_000_000)
    with TroubleServer() as server:
        async with aiohttp.ClientSession() as session:
            for model in ("good", "expired"):
                given = {"base_url": server.url, "model": model, "key": "sk-hidden"}
                config = configure("house", given, {})
                assert isinstance(config, BackendConfig)
                backend = chat_backend(config, BackendContext(session))
                try:
                    await backend.look(picture, Question(prompt="a private wish"))
                except AnalysisFailed:
                    assert model == "expired"
        port = server._upstream.port
    good, expired = exporter.get_finished_spans()
    assert (good.name, good.kind) == ("chat good", SpanKind.CLIENT)
    assert good.attributes is not None
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai-compatible",
        "gen_ai.request.model": "good",
        "gen_ai.response.model": "model",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 100,
        "server.address": "127.0.0.1",
        "server.port": port,
        "ocelli.backend": "house",
        "ocelli.look": "describe",
        "ocelli.attempts": 1,
    }
    assert {name: good.attributes[name] for name in expected} == expected
    assert good.status.status_code is StatusCode.UNSET
    assert expired.attributes is not None
    assert expired.attributes["error.type"] == "vlm_error"
    assert expired.status.status_code is StatusCode.ERROR
    everything = str([span.to_json() for span in (good, expired)])
    assert not [word for word in ("sk-hidden", "private", "base64", "cups") if word in everything]
