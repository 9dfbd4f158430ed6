"""Certificates and an HTTP client of one's own."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx2
import pytest
from tests.certificates import self_signed
from tests.sdk.sdk_server import KEY, FakeServer

import aion
from aion import AionVision, AionvisionConnectionError, InsecureTransportWarning, SyncAionVision


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"files": [], "total_count": 0, "has_more": false}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own authority, and its key."""
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def https(certificate: tuple[Path, Path]) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"https://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_certificate_of_ones_own(https: str, certificate: tuple[Path, Path]) -> None:
    authority = certificate[0]
    with (
        SyncAionVision(KEY, base_url=https, max_retries=0) as stranger,
        pytest.raises(AionvisionConnectionError, match="not trusted"),
    ):
        stranger.files.list()
    context = ssl.create_default_context(cafile=authority)
    for verify in (authority, str(authority), context, False):
        with SyncAionVision(KEY, base_url=https, verify=verify, max_retries=0) as client:
            assert client.files.list().files == []


def test_no_certificates_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pem", Path(__file__)):
        with pytest.raises(ValueError, match="no certificates can be read"):
            SyncAionVision(KEY, verify=path).files.list()


def test_trusting_everything_is_warned_about() -> None:
    with pytest.warns(InsecureTransportWarning, match="verify=False"):
        AionVision(KEY, base_url="https://ocelli.example.org", verify=False)


async def test_an_http_client_of_ones_own(server: FakeServer) -> None:
    seen: list[str] = []

    async def note(request: httpx2.Request) -> None:
        seen.append(f"{request.method} {request.headers['User-Agent']}")

    own = httpx2.AsyncClient(
        headers={"User-Agent": "mine"}, event_hooks={"request": [note]}, follow_redirects=True
    )
    async with AionVision(KEY, base_url=server.url, http_client=own) as client:
        assert (await client.files.list()).files == []
    assert seen == ["GET mine"]
    assert own.is_closed
    with pytest.raises(ValueError, match="verify"):
        AionVision(KEY, http_client=own, verify=False)


def test_an_http_client_without_await(server: FakeServer) -> None:
    with SyncAionVision(KEY, base_url=server.url, http_client=httpx2.AsyncClient()) as client:
        assert client.files.list().files == []
    with httpx2.Client() as wrong:
        client = SyncAionVision(KEY, http_client=wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"an httpx2\.AsyncClient, not httpx2\..*Client"):
            client.files.list()
        client.close()


def test_the_version() -> None:
    from ocelli import __version__

    assert aion.__version__ == __version__
