"""Spans with the names that OpenTelemetry gives generative models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from tests.chat.upstream import running
from tests.fake_embeddings import serving as embeddings
from tests.upstream import scenes
from tests.upstream.trouble import TroubleServer

from ocelli.backends.chat.backend import chat_backend
from ocelli.backends.chat.relay import Upstreams
from ocelli.backends.config import BackendConfig
from ocelli.backends.picture_embeddings import EmbeddingRequest, PictureEmbeddingServer
from ocelli.backends.plugins import BackendContext
from ocelli.backends.registry import configure
from ocelli.domain.chat_errors import UpstreamError
from ocelli.domain.errors import AnalysisFailed
from ocelli.domain.questions import Question
from ocelli.domain.tracing import current_context, current_ids, span, trace_with
from ocelli.media.decode import decode
from ocelli.wiring.tracing import OpenTelemetryTracer


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    trace_with(OpenTelemetryTracer(provider))
    yield kept
    trace_with(None)
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


async def test_embeddings_are_calls_of_a_model(exporter: InMemorySpanExporter) -> None:
    with embeddings() as server:
        embedder = PictureEmbeddingServer(
            server.url,
            "clip",
            EmbeddingRequest.VLLM,
            key="sk-hidden",
            timeout=60,
            least_cosine=0.2,
        )
        vector = await embedder.embed_text("a private wish")
        await embedder.close()
    (call,) = exporter.get_finished_spans()
    assert (call.name, call.kind) == ("embeddings clip", SpanKind.CLIENT)
    assert call.attributes is not None
    assert call.attributes["gen_ai.operation.name"] == "embeddings"
    assert call.attributes["gen_ai.embeddings.dimension.count"] == len(vector)
    assert not [word for word in ("sk-hidden", "private") if word in call.to_json()]


async def test_what_a_block_raises_marks_its_span_without_its_words(
    exporter: InMemorySpanExporter,
) -> None:
    with pytest.raises(OSError, match="private"), span("outer") as outer:
        parent = outer.context()
        with span("elsewhere", parent=parent, is_current=False):
            assert current_context() == parent
        raise OSError("a private path")
    assert current_ids() is None
    elsewhere, failed = exporter.get_finished_spans()
    assert failed.attributes is not None
    assert failed.attributes["error.type"] == "OSError"
    assert failed.status.status_code is StatusCode.ERROR
    assert failed.context is not None
    assert elsewhere.parent is not None
    assert elsewhere.parent.span_id == failed.context.span_id
    assert "private" not in failed.to_json()


async def test_a_relayed_stream_is_one_span_until_it_is_closed(
    exporter: InMemorySpanExporter, photos: dict[str, Path]
) -> None:
    with running(photos) as server:
        configs = [configure(each, server.model(each, retries=0), {}) for each in ("good", "dying")]
        upstreams = Upstreams(configs)
        for name in ("good", "dying"):
            upstream = upstreams.get(name)
            assert upstream is not None
            body = json.dumps({"model": name, "messages": [], "stream": True}).encode()
            reply = await upstream.ask(body, stream=True, request_id="r")
            assert reply.events is not None
            with suppress(UpstreamError):
                async for _ in reply.events:
                    assert current_ids() is None
            assert len(exporter.get_finished_spans()) == (name == "dying")
            reply.close()
        await upstreams.close()
    good, dying = exporter.get_finished_spans()
    for call in (good, dying):
        assert call.attributes is not None
        assert call.attributes["gen_ai.request.stream"] is True
        model = call.attributes["gen_ai.request.model"]
        assert call.attributes["gen_ai.response.model"] == f"{model!s}-2026"
    assert good.status.status_code is StatusCode.UNSET
    assert dying.status.status_code is StatusCode.ERROR
    sent = [each["traceparent"].split("-")[2] for each in server.headers]
    assert sent == [format(each.context.span_id, "016x") for each in (good, dying) if each.context]
