"""Traces, from a request to the looks at its picture, as a collector receives them."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from aiohttp import web
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.conftest import OCELLI, Server, reachable, start_server
from tests.integration.test_main_job import API, finished, noise, upload
from tests.otlp import Collector, Mood, Received
from tests.upstream.server import Rates, SceneServer, Upstream
from tests.waiting import PATIENCE, until

from aion import AionVision, _tracing, configure_tracing
from ocelli import __version__
from ocelli.domain.tracing import CONVENTIONS
from ocelli.settings import Settings

SECRET = "where-i-live"
KEY = "sk-of-the-house"
AT_ONCE = {"OTEL_BSP_SCHEDULE_DELAY": "50"}  # milliseconds
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CLIENT = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "vendor=1", "baggage": SECRET}


@pytest.fixture(scope="module")
def upstream() -> Iterator[SceneServer]:
    with SceneServer(Rates(planted=0, doubted=0)) as running:
        yield running


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture(scope="module")
def traced(
    tmp_path_factory: pytest.TempPathFactory, upstream: SceneServer, collector: Collector
) -> Iterator[Server]:
    house = {"base_url": upstream.url, "key": KEY, "sight_test": False, "retries": 0}
    backends = {
        "house": {**house, "model": "scene-a", "provider": "vllm"},
        "second": {**house, "model": "scene-b"},
        "away": {**house, "model": "scene-c", "base_url": "http://127.0.0.1:9/v1"},
    }
    data = reachable(tmp_path_factory.mktemp("traced")) / "data"
    running = start_server(
        data,
        "--workers",
        "1",
        OCELLI_BACKENDS=json.dumps(backends),
        OCELLI_OTLP_ENDPOINT=collector.url,
        OCELLI_LOG_FORMAT="json",
        OCELLI_FETCH_ALLOW="127.0.0.0/8",
        **AT_ONCE,
    )
    yield running
    running.stop()
    assert running.process.stdout is not None
    running.process.stdout.close()


def send(server: Server, data: bytes, **headers: str) -> str:
    answer = requests.post(
        f"{server.url}{API}/user-files/upload/stream?note={SECRET}",
        headers={**server.headers, **headers},
        files={"file": (f"{SECRET}.png", data)},
        data={"verification_level": "standard", "title": SECRET},
        timeout=PATIENCE,
    )
    return str(answer.json()["image_id"])


def log_lines(server: Server) -> list[dict[str, Any]]:
    text = (server.data.parent / f"{server.data.name}.log").read_text()
    return [json.loads(each) for each in text.splitlines(keepends=True) if each.endswith("}\n")]


def in_trace(collector: Collector, trace: str) -> list[Received]:
    return [each for each in collector.spans if each.trace == trace]


def test_an_upload_is_one_trace_from_the_client_to_the_looks(
    traced: Server, upstream: SceneServer, collector: Collector
) -> None:
    upstream.reset()
    id = send(traced, upstream.picture(11), **CLIENT, **{"X-Request-ID": "traced-1"})
    description = finished(traced, id)["upload_description"]
    route = f"{API}/user-files/upload/stream"
    request = collector.one(f"POST {route}", ocelli__request_id="traced-1")
    assert (request.trace, request.parent, request.kind) == (TRACE, SPAN, "SERVER")
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": route,
        "http.response.status_code": 200,
        "url.scheme": "http",
        "ocelli.request_id": "traced-1",
    }
    job = collector.one("job analyse", ocelli__request_id="traced-1")
    assert (job.trace, job.parent, job.kind) == (TRACE, request.id, "CONSUMER")
    told = {"status": "completed", "backend": "house", "level": "standard", "looks": 2}
    assert {f"ocelli.{name}": value for name, value in told.items()}.items() <= (
        job.attributes.items()
    )
    copies = collector.one("job make_variants", ocelli__request_id="traced-1")
    assert (copies.trace, copies.parent) == (TRACE, request.id)

    describe, check = (collector.one(f"chat scene-{each}", TRACE) for each in "ab")
    assert {(each.trace, each.parent, each.kind) for each in (describe, check)} == {
        (TRACE, job.id, "CLIENT")
    }
    port = int(upstream.url.rpartition(":")[2].partition("/")[0])
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": "scene-a",
        "gen_ai.response.model": "scene-a",
        "gen_ai.response.finish_reasons": ["stop"],
        "server.address": "127.0.0.1",
        "server.port": port,
        "ocelli.look": "describe",
    }
    assert expected.items() <= describe.attributes.items()
    assert describe.attributes["gen_ai.usage.input_tokens"] > 0
    assert describe.attributes["gen_ai.usage.output_tokens"] > 0
    assert check.attributes["gen_ai.provider.name"] == "openai-compatible"
    evidence = collector.one("evidence ocelli-local", TRACE)
    assert (evidence.trace, evidence.parent, evidence.kind) == (TRACE, job.id, "INTERNAL")
    assert not [each for each in in_trace(collector, TRACE) if each.failed]

    # Backends get the context of their own look.
    sent = {call.model: call.headers for call in upstream.calls}
    assert sent["scene-a"]["traceparent"] == f"00-{TRACE}-{describe.id}-01"
    assert sent["scene-b"]["traceparent"] == f"00-{TRACE}-{check.id}-01"
    assert sent["scene-a"]["tracestate"] == CLIENT["tracestate"]
    assert not [headers for headers in sent.values() if "baggage" in {k.lower() for k in headers}]

    # Who sent what, in one revision of the conventions.
    assert {each.resource["service.name"] for each in collector.spans} == {"ocelli"}
    assert {each.resource["service.version"] for each in collector.spans} == {__version__}
    assert request.resource["service.instance.id"].endswith("/api")
    assert job.resource["service.instance.id"].endswith("/worker-1")
    assert {each.schema for each in collector.spans} == {
        f"https://opentelemetry.io/schemas/{CONVENTIONS}"
    }

    # Nothing of what was sent, said or seen.
    everything = b"".join(collector.bodies)
    words = [SECRET, traced.key, KEY, "base64", "background", *description.split(". ")]
    assert [word for word in words if word.encode() in everything] == []

    # The lines of the log lead to the spans.
    lines = [each for each in log_lines(traced) if each.get("request_id") == "traced-1"]
    (answered,) = (each for each in lines if each["event"] == "request")
    assert (answered["trace_id"], answered["span_id"]) == (TRACE, request.id)
    (ran,) = (each for each in lines if each["event"] == "job" and each["task"] == "analyse")
    assert (ran["trace_id"], ran["span_id"]) == (TRACE, job.id)


def test_uploads_that_share_a_transaction_keep_their_traces(
    traced: Server, collector: Collector
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def one(number: int) -> str:
        trace = f"{number + 1:032x}"
        send(traced, noise(number), traceparent=f"00-{trace}-{SPAN}-01")
        return trace

    with ThreadPoolExecutor(8) as pool:
        traces = list(pool.map(one, range(8)))

    def jobs(trace: str) -> set[str]:
        return {each.name for each in in_trace(collector, trace) if each.kind == "CONSUMER"}

    for trace in traces:
        until(lambda trace=trace: jobs(trace) == {"job analyse", "job make_variants"})  # type: ignore[misc]


def test_what_fails_is_marked_by_its_type(
    traced: Server, upstream: SceneServer, collector: Collector
) -> None:
    trace = "1" * 32
    answer = requests.post(
        f"{traced.url}{API}/describe",
        headers={**traced.headers, "traceparent": f"00-{trace}-{SPAN}-01"},
        json={"image_url": f"{upstream.url}/{SECRET}?sig={SECRET}", "providers": ["away"]},
        timeout=PATIENCE,
    )
    assert answer.status_code >= 400
    fetch = until(lambda: [each for each in in_trace(collector, trace) if each.name == "GET"])[0]
    assert (fetch.kind, fetch.failed) == ("CLIENT", True)
    assert fetch.attributes["server.address"] == "127.0.0.1"
    assert fetch.attributes["error.type"] == "FETCH_FAILED"
    assert SECRET.encode() not in b"".join(collector.bodies)


def test_relayed_conversations_are_calls_of_a_model(
    traced: Server, upstream: SceneServer, collector: Collector
) -> None:
    upstream.reset()
    trace = "2" * 32
    asked = {"type": "text", "text": f"What is in {SECRET}?"}
    answer = requests.post(
        f"{traced.url}/v1/chat/completions",
        headers={**traced.headers, "traceparent": f"00-{trace}-{SPAN}-01"},
        json={
            "model": "house",
            "messages": [{"role": "user", "content": [asked, _image(upstream)]}],
        },
        timeout=PATIENCE,
    )
    assert answer.status_code == 200, answer.text
    call = until(lambda: [each for each in in_trace(collector, trace) if each.kind == "CLIENT"])[0]
    (request,) = until(lambda: [e for e in in_trace(collector, trace) if e.kind == "SERVER"])
    assert (call.name, call.parent) == ("chat scene-a", request.id)
    usage = answer.json()["usage"]
    assert call.attributes["gen_ai.usage.output_tokens"] == usage["completion_tokens"]
    assert call.attributes["gen_ai.response.model"] == "scene-a"
    (sent,) = upstream.calls
    assert sent.headers["traceparent"] == f"00-{trace}-{call.id}-01"


def test_a_webhook_is_in_the_trace_of_what_it_tells_of(
    traced: Server, upstream: SceneServer, collector: Collector
) -> None:
    got: list[Mapping[str, str]] = []

    async def take(request: web.Request) -> web.StreamResponse:
        got.append(dict(request.headers))
        return web.Response(status=204)

    receiver = Upstream(take)
    receiver.start()
    try:
        created = requests.post(
            f"{traced.url}{API}/webhooks",
            headers=traced.headers,
            json={"url": f"{receiver.url}/{SECRET}", "event_types": ["image.described"]},
            timeout=PATIENCE,
        )
        assert created.status_code == 201, created.text
        trace = "3" * 32
        send(traced, upstream.picture(15), traceparent=f"00-{trace}-{SPAN}-01")

        post = until(lambda: [e for e in in_trace(collector, trace) if e.name == "POST"])[0]
        job = until(lambda: [e for e in in_trace(collector, trace) if e.name == "job analyse"])[0]
        assert (post.parent, post.kind, post.failed) == (job.id, "CLIENT", False)
        assert post.attributes["http.response.status_code"] == 204
        assert [each["traceparent"] for each in got] == [f"00-{trace}-{post.id}-01"]
        assert SECRET.encode() not in b"".join(collector.bodies)
        url = f"{traced.url}{API}/webhooks/{created.json()['id']}"
        requests.delete(url, headers=traced.headers, timeout=PATIENCE)
    finally:
        receiver.stop()


def _image(upstream: SceneServer) -> dict[str, Any]:
    import base64

    url = f"data:image/png;base64,{base64.b64encode(upstream.picture(12)).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


async def test_the_spans_of_a_client_and_ours_are_one_trace(
    traced: Server,
    collector: Collector,
    tmp_path: Path,
    upstream: SceneServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr(_tracing, "_configured", {})
    assert configure_tracing(tracer_provider=provider)
    (tmp_path / "scene.png").write_bytes(upstream.picture(14))
    async with AionVision(traced.key, base_url=f"{traced.url}{API}", enable_tracing=True) as client:
        await client.upload_one(tmp_path / "scene.png")
    provider.shutdown()
    ours = {format(each.context.span_id, "016x"): each for each in kept.get_finished_spans()}

    def jobs() -> list[Received]:
        """Of a request of ours whose parent is a span of the client."""
        requests = {each.id for each in collector.spans if each.parent in ours}
        return [
            each
            for each in collector.spans
            if each.name == "job analyse" and each.parent in requests
        ]

    (job,) = until(jobs)
    assert job.trace in {format(each.context.trace_id, "032x") for each in ours.values()}


def test_probes_begin_no_traces(traced: Server, collector: Collector) -> None:
    for path in ("/health/live", "/health/ready", "/metrics"):
        assert requests.get(f"{traced.url}{path}", timeout=PATIENCE).status_code == 200
    requests.get(f"{traced.url}/no-such-path-{SECRET}", timeout=PATIENCE)
    nowhere = collector.one("GET", http__response__status_code=404)
    assert "http.route" not in nowhere.attributes
    assert not [each for each in collector.spans if re.search("health|metrics", each.name)]


def test_a_bad_collector_costs_spans_and_nothing_else(
    tmp_path: Path, photos: dict[str, Path]
) -> None:
    """Away, then failing, then hanging: requests and jobs do not wait, nor does the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = start_server(
        reachable(tmp_path) / "data",
        "--workers",
        "1",
        OCELLI_OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
        OTEL_BSP_MAX_QUEUE_SIZE="16",
        OTEL_BSP_MAX_EXPORT_BATCH_SIZE="8",
        OTEL_EXPORTER_OTLP_TIMEOUT="3",
        **AT_ONCE,
    )
    log = tmp_path / "data.log"

    collector = Collector(Mood.FAILS, port)

    def ask() -> int:
        """Make more spans than the queue holds; return how often the collector was asked yet."""
        for _ in range(20):
            requests.get(f"{server.url}{API}/user-files", headers=server.headers, timeout=60)
        return collector.asked

    try:
        assert ask() == 0
        with collector:
            until(ask)
            until(lambda: "the collector does not take them" in log.read_text())
            collector.mood = Mood.HANGS
            before = collector.asked
            until(lambda: ask() > before)
            id = upload(server, photos["coffee"].read_bytes()).json()["image_id"]
            assert finished(server, id)["upload_description"]
            server.stop()
    finally:
        server.stop()
        assert server.process.stdout is not None
        server.process.stdout.close()
    assert "did not end in time" not in log.read_text()
    assert log.read_text().count("the collector does not take them") <= 2  # once per process
    assert server.process.returncode == 0


SEEN = """
import sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("opentelemetry"):
            with open({log!r}, "a") as log:
                print(name, *(sys.orig_argv), file=log)
            if {hidden!r} and name.startswith({hidden!r}):
                raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Finder())
"""


def watching(folder: Path, hidden: str = "") -> tuple[Path, dict[str, str]]:
    """A file of all imports of OpenTelemetry, and the environment that writes it.

    What begins with ``hidden`` is not found.
    """
    log = folder / "imports"
    log.touch(mode=0o666)
    (folder / "sitecustomize.py").write_text(SEEN.format(log=str(log), hidden=hidden))
    return log, {"PYTHONPATH": str(folder)}


def test_off_nothing_of_it_is_loaded(tmp_path: Path, photos: dict[str, Path]) -> None:
    """FastAPI loads the API of OpenTelemetry for itself, which sends nothing; no more than that."""
    log, environment = watching(reachable(tmp_path))
    data = tmp_path / "data"
    # What makes other programs send, FastAPI among them, is none of our settings.
    others = {
        "FASTAPI_OTEL_AUTO_CONFIGURE": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1]:9",
    }
    server = start_server(data, "--workers", "1", **environment, **others)
    try:
        headers = {**server.headers, "traceparent": CLIENT["traceparent"]}
        assert "traceparent" not in requests.get(f"{server.url}/", headers=headers).headers
        finished(server, upload(server, photos["coffee"].read_bytes()).json()["image_id"])
    finally:
        server.stop()
        assert server.process.stdout is not None
        server.process.stdout.close()
    imports = log.read_text().splitlines()
    elsewhere = [each for each in imports if " api " not in each]
    assert elsewhere == []
    assert imports, "the watch does not work"
    assert [each for each in imports if re.match(r"opentelemetry\.(sdk|exporter)", each)] == []


def test_without_what_it_needs_the_start_says_what_to_install(tmp_path: Path) -> None:
    _, environment = watching(tmp_path, hidden="opentelemetry.exporter")
    for command in ("serve", "worker"):
        done = subprocess.run(
            [*OCELLI, command, "--data", str(tmp_path / "data")],
            env={**os.environ, **environment, "OCELLI_OTLP_ENDPOINT": "http://127.0.0.1:4318"},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 3, done.stderr
        assert "pip install 'ocelli-vision[server,tracing]'" in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("given", ["collector:4318", "grpc://collector", "http://"])
def test_an_endpoint_is_an_address(given: str) -> None:
    with pytest.raises(ValueError, match="otlp_endpoint"):
        Settings(otlp_endpoint=given)


@pytest.mark.parametrize("given", ["http://c:4318", "http://c:4318/", "http://c:4318/v1/traces"])
def test_an_endpoint_may_name_its_path(given: str) -> None:
    assert Settings(otlp_endpoint=given).otlp_endpoint == "http://c:4318"
