"""What the network does to us, over real sockets."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from tests.sdk.sdk_server import KEY, FakeServer

from aion import (
    AionVision,
    AionvisionConnectionError,
    AionvisionError,
    AionvisionTimeoutError,
    AuthenticationError,
    CircuitBreakerError,
    ClientConfig,
    RateLimitError,
    ResourceNotFoundError,
    ServerError,
    _http,
    configure_tracing,
    is_tracing_available,
)
from aion._bodies import FileBody
from aion._files import Source

Photos = Callable[..., list[Path]]


async def test_headers(server: FakeServer) -> None:
    async with AionVision(KEY, base_url=server.url, tenant_id="t-1") as client:
        await client.uploads.check_quota()
    sent = server.headers[0]
    assert sent["Authorization"] == f"Bearer {KEY}"
    assert sent["X-Tenant-ID"] == "t-1"
    assert sent["User-Agent"].startswith("aion-python/")
    assert sent["X-Correlation-ID"] != sent["X-Request-ID"]
    assert "Idempotency-Key" not in sent
    assert "traceparent" not in sent


@pytest.mark.parametrize("query", ["sig=a%2Fb+c%20d%2f&e=", "X-Amz=%7e|'[]{}!$()*,;:@/?"])
async def test_signed_addresses_arrive_byte_for_byte(
    query: str, server: FakeServer, client: AionVision
) -> None:
    signed = f"/store/a%2Fb%7ec?{query}"
    server.fault("/download", status=307, headers={"Location": signed})
    server.fault("/store", "json", body={}, method="PUT")
    http = _http.Http(ClientConfig(KEY, base_url=server.url))
    try:
        await http.put(
            signed,
            FileBody(Source("a.png", content=b"x"), 1, "image/png"),
            method="PUT",
            headers={},
        )
    finally:
        await http.aclose()
    await client.files.download("id")
    assert [server.targets[0], server.targets[-1]] == [signed, signed]


@pytest.mark.parametrize("kind", ["status", "html", "hang_up", "cut"])
async def test_retries_carry_one_key(
    kind: str, server: FakeServer, client: AionVision, photos: Photos
) -> None:
    server.fault("/stream", kind, times=2)
    result = await client.upload_one(photos(1)[0])
    assert result.is_completed
    tries = [h for h, (_, p) in zip(server.headers, server.seen, strict=True) if "/stream" in p]
    assert len(tries) == 3
    assert len({h["Idempotency-Key"] for h in tries}) == 1
    assert len({h["X-Correlation-ID"] for h in tries}) == 1
    assert len({h["X-Request-ID"] for h in tries}) == 3
    assert len(server.images) == 1


async def test_retries_end(server: FakeServer, client: AionVision) -> None:
    server.fault("/quota-check", times=99, status=502, kind="html")
    with pytest.raises(ServerError, match="HTML: Bad Gateway") as caught:
        await client.uploads.check_quota()
    assert caught.value.details["status"] == 502
    assert server.count("quota-check") == 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422, 501])
async def test_useless_retries_are_not_made(
    status: int, server: FakeServer, client: AionVision
) -> None:
    server.fault("/quota-check", times=99, status=status)
    with pytest.raises(client.AionvisionError):
        await client.uploads.check_quota()
    assert server.count("quota-check") == 1


async def test_a_wrong_key(server: FakeServer) -> None:
    async with AionVision("aion_" + "w" * 24, base_url=server.url) as client:
        with pytest.raises(AuthenticationError, match="No such key") as caught:
            await client.uploads.check_quota()
    assert caught.value.code == "INVALID_API_KEY"


async def test_rate_limit_is_waited_out(server: FakeServer, client: AionVision) -> None:
    server.fault("/quota-check", status=429, headers={"Retry-After": "1"})
    began = time.monotonic()
    await client.uploads.check_quota()
    assert time.monotonic() - began >= 1.0
    assert server.count("quota-check") == 2


async def test_rate_limit_forever(server: FakeServer, client: AionVision) -> None:
    limits = {"Retry-After": "0", "X-RateLimit-Limit": "30", "X-RateLimit-Reset": "1800000000"}
    server.fault("/quota-check", times=99, status=429, headers=limits)
    with pytest.raises(RateLimitError) as caught:
        await client.uploads.check_quota()
    error = caught.value
    assert (error.retry_after, error.limit, error.reset) == (0.0, 30, 1800000000)
    assert server.count("quota-check") == 4


async def test_html_with_status_200(server: FakeServer, client: AionVision) -> None:
    server.fault("/quota-check", kind="html", status=200)
    with pytest.raises(ServerError, match="not JSON but text/html") as caught:
        await client.uploads.check_quota()
    assert caught.value.code == "INVALID_RESPONSE"


async def test_json_of_another_kind(server: FakeServer, client: AionVision) -> None:
    server.fault("/quota-check", kind="json", body=["a", "list"])
    with pytest.raises(ServerError, match="QuotaInfo"):
        await client.uploads.check_quota()


BAD = b"[" * 100_000


@pytest.mark.parametrize("body", [BAD, b"", b"[]", b"null", b"5", b"{}"])
async def test_whatever_a_broken_server_says(body: bytes) -> None:
    """It is one of our errors, or an answer of little use: nothing of another kind is raised."""
    said: dict[str, Any] = {}

    async def answer(_: web.Request) -> web.Response:
        return web.Response(**said)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/api/v2"
    statuses: list[dict[str, Any]] = [
        {"status": 200, "body": body},
        {"status": 400, "body": body},
        {
            "status": 200,
            "body": b"event: complete\ndata: " + body + b"\n\n",
            "headers": {"Content-Type": "text/event-stream"},
        },
        *(
            {"status": 302, "headers": {"Location": to}}
            for to in ("http://[::1", "http://h:99999999/", "file:///etc/passwd", "http://a b/")
        ),
    ]
    try:
        async with AionVision(KEY, base_url=url, max_retries=0) as client:

            async def stream() -> None:
                async for _ in client.chat_stream("x", session_id="s"):
                    pass

            calls: list[Callable[[], Awaitable[object]]] = [
                lambda: client.chats.search_images("x"),
                lambda: client.chats.close_session("s"),
                lambda: client.tenant.list_members(),
                lambda: client.colors.list_families(),
                lambda: client.describe(image=b"x"),
                lambda: client.upload_one(b"x", filename="x.png"),
                lambda: client.files.download("x"),
                lambda: client.files.trigger_variant_generation("x"),
                stream,
            ]
            for each in statuses:
                said.clear()
                said.update(each)
                for call in calls:
                    with suppress(AionvisionError):
                        await call()
    finally:
        await runner.cleanup()


async def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/api/v2"
    async with AionVision(KEY, base_url=url, retry_delay=0.01) as client:
        with pytest.raises(AionvisionConnectionError, match="ocelli serve"):
            await client.uploads.check_quota()


async def test_no_such_host() -> None:
    async with AionVision(KEY, base_url="https://nowhere.invalid/api/v2") as client:
        with pytest.raises(AionvisionConnectionError, match=r"nowhere\.invalid"):
            await client.uploads.check_quota()


async def test_no_tls_there(server: FakeServer) -> None:
    url = server.url.replace("http:", "https:")
    async with AionVision(KEY, base_url=url) as client:
        with pytest.raises(AionvisionConnectionError, match="TLS"):
            await client.uploads.check_quota()


async def test_the_server_never_answers(server: FakeServer) -> None:
    server.fault("/quota-check", "never", times=99)
    async with AionVision(KEY, base_url=server.url, timeout=0.2, max_retries=0) as client:
        with pytest.raises(AionvisionTimeoutError, match="did not answer"):
            await client.uploads.check_quota()


async def test_circuit_breaker(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    config = ClientConfig(KEY, server.url, max_retries=0, circuit_breaker_timeout=600.0)
    async with AionVision.from_config(config) as client:
        server.fault("/quota-check", times=5, status=500)
        for _ in range(5):
            with pytest.raises(ServerError):
                await client.uploads.check_quota()
        with pytest.raises(CircuitBreakerError, match="GET /uploads/quota-check") as caught:
            await client.uploads.check_quota()
        assert 0 < caught.value.retry_after <= 600.0
        assert caught.value.endpoint == "GET /uploads/quota-check"
        assert server.count("quota-check") == 5
        with pytest.raises(ResourceNotFoundError):  # other endpoints go on
            await client.files.get("nothing")
        later = SimpleNamespace(monotonic=lambda: time.monotonic() + 600)
        monkeypatch.setattr(_http, "time", later)
        await client.uploads.check_quota()


async def test_circuit_breaker_off(server: FakeServer) -> None:
    config = ClientConfig(KEY, server.url, max_retries=0, circuit_breaker_enabled=False)
    async with AionVision.from_config(config) as client:
        server.fault("/quota-check", times=8, status=500)
        for _ in range(8):
            with pytest.raises(ServerError):
                await client.uploads.check_quota()
        await client.uploads.check_quota()


async def test_proxy(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request through a proxy names the whole address; our server does not mind."""
    proxy = f"http://127.0.0.1:{server.port}"
    url = f"http://localhost:{server.port}/api/v2"
    async with AionVision(KEY, base_url=url, proxy_url=proxy) as client:
        await client.uploads.check_quota()
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # not meant for this machine
    async with AionVision(KEY, base_url=server.url) as client:
        await client.uploads.check_quota()
    async with AionVision(
        KEY, base_url=server.url, proxy_url="http://127.0.0.1:9", max_retries=0
    ) as client:
        with pytest.raises(AionvisionConnectionError):
            await client.uploads.check_quota()


async def test_socks_needs_a_package(server: FakeServer) -> None:
    try:
        import socksio  # noqa: F401
    except ImportError:
        with pytest.raises(ValueError, match="socksio"):
            async with AionVision(KEY, base_url=server.url, proxy_url="socks5://127.0.0.1:9"):
                pass


async def test_tracing(server: FakeServer, caplog: pytest.LogCaptureFixture) -> None:
    from opentelemetry import trace

    config = ClientConfig(KEY, server.url, enable_tracing=True)
    async with AionVision.from_config(config) as client:
        context = trace.SpanContext(1, 2, is_remote=False, trace_flags=trace.TraceFlags(1))
        with trace.use_span(trace.NonRecordingSpan(context)):
            await client.uploads.check_quota()
    assert server.headers[0]["traceparent"].startswith("00-" + "0" * 31 + "1-")


async def test_spans_go_where_they_are_configured_to(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from aion import _tracing

    monkeypatch.setattr(_tracing, "_configured", {})
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    assert is_tracing_available()
    assert configure_tracing(tracer_provider=provider, service_version="1.2")
    config = ClientConfig(KEY, server.url, enable_tracing=True)
    async with AionVision.from_config(config) as client:
        await client.uploads.check_quota()
    [span] = exporter.get_finished_spans()
    assert span.name == "aion GET /uploads/quota-check"
    scope = span.instrumentation_scope
    assert scope is not None
    assert (scope.name, scope.version) == ("aionvision-sdk", "1.2")


def test_tracing_without_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    from aion import _tracing

    monkeypatch.setattr(_tracing, "_configured", {})
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter", None)
    assert not configure_tracing(endpoint="http://127.0.0.1:9/v1/traces")
    monkeypatch.setattr(_tracing, "is_tracing_available", lambda: False)
    assert not configure_tracing()


async def test_logging(
    server: FakeServer, client: AionVision, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "aion"):
        await client.uploads.check_quota()
    assert "GET /uploads/quota-check: 200" in caplog.text
    assert KEY not in caplog.text


async def test_a_closed_client(server: FakeServer) -> None:
    client = AionVision(KEY, base_url=server.url)
    await client.uploads.check_quota()  # opens by itself
    await client.aclose()
    await client.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        await client.uploads.check_quota()


async def test_an_untrusted_certificate(tmp_path: Path) -> None:
    import subprocess

    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")

    async def answer(_: Any, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as listener:
        port = listener.sockets[0].getsockname()[1]
        async with AionVision(KEY, base_url=f"https://localhost:{port}/api/v2") as client:
            with pytest.raises(AionvisionConnectionError, match="not trusted"):
                await client.uploads.check_quota()
