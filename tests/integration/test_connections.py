"""Heads without a bound, connections without an end: what a socket can do to everybody else."""

from __future__ import annotations

import contextlib
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
import requests
import uvicorn
from fastapi import FastAPI, Request
from starlette.requests import ClientDisconnect
from tests.conftest import Server
from tests.waiting import PATIENCE, until

from ocelli.api import connections
from ocelli.api.connections import Connections

HEAD = b"GET /health/live HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
MEGABYTE = 1024 * 1024
WORKING = threading.Event()
AT_WORK = threading.Semaphore(0)


def app() -> FastAPI:
    made = FastAPI()

    @made.get("/health/live")
    async def live(request: Request) -> str:
        return request.client.host if request.client else ""

    @made.get("/work")
    def work() -> bool:
        AT_WORK.release()
        return WORKING.wait(PATIENCE)

    @made.post("/read")
    async def read(request: Request) -> int:
        try:
            return len(await request.body())
        except ClientDisconnect:
            return -1

    return made


Serve = Callable[..., tuple[str, int]]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Starts our protocol over a small application; names in capitals are its constants."""
    with contextlib.ExitStack() as stack:

        def start(*, most: int = 50, per_address: int = 50, **constants: float) -> tuple[str, int]:
            for name, value in constants.items():
                monkeypatch.setattr(connections, name, value)
            limits = Connections(
                max_connections=most, per_address=per_address, proxies=["127.0.0.1/32"]
            )
            listener = socket.create_server(("127.0.0.1", 0))
            config = uvicorn.Config(
                app(),
                http=limits.protocol,  # type: ignore[arg-type]
                ws="none",
                log_config=None,
                forwarded_allow_ips=["127.0.0.1/32"],
                timeout_keep_alive=int(PATIENCE),
            )
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run, args=([listener],))
            thread.start()
            stack.callback(thread.join, PATIENCE)
            stack.callback(setattr, server, "should_exit", True)
            until(lambda: server.started)
            host, port = listener.getsockname()
            return host, port

        yield start


def connect(address: tuple[str, int], source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(address, timeout=PATIENCE, source_address=(source, 0))


def answer(connection: socket.socket) -> bytes:
    """All that comes until the server hangs up."""
    said = b""
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(65536):
            said += piece
    return said


def asked(address: tuple[str, int], *pieces: bytes, source: str = "127.0.0.1") -> bytes:
    with connect(address, source) as connection:
        for piece in pieces:
            connection.sendall(piece)
        return answer(connection)


@pytest.mark.parametrize(
    ("start", "piece", "times", "status"),
    [
        (HEAD, b"a: b\r\n" * (MEGABYTE // 6), 20, b"431"),
        (HEAD + b"X: ", b"a" * MEGABYTE, 20, b"431"),
        (HEAD, b"a" * MEGABYTE, 20, b"431"),
        (b"GET /", b"a" * MEGABYTE, 20, b"414"),
        (b"G", b"E" * MEGABYTE, 20, b"400"),
        (b"", b"\r\n" * MEGABYTE, 10, b"431"),
        (CHUNKED + b"1;", b"a" * MEGABYTE, 20, b"431"),
        (CHUNKED + b"0\r\n", b"a: b\r\n" * (MEGABYTE // 6), 20, b"431"),
        (CHUNKED + b"0\r\nX: ", b"a" * MEGABYTE, 20, b"431"),
    ],
    ids=["fields", "value", "name", "url", "method", "lines", "extension", "trailers", "trailer"],
)
def test_a_head_without_a_bound_is_refused(
    serve: Serve, start: bytes, piece: bytes, times: int, status: bytes
) -> None:
    said = asked(serve(LINGER_TIMEOUT=PATIENCE), start, *[piece] * times)
    assert said.startswith(b"HTTP/1.1 " + status), said
    assert b"connection: close" in said


def test_refusals_have_the_shape_of_their_surface(server: Server) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    headers = b"X-A: %s\r\n" % (b"a" * 70_000)
    for path, field in (
        (b"/api/v2/user-files", b'"code":"HTTP_431"'),
        (b"/api/credits", b'{"error":"The head'),
        (b"/v1/models", b'"type":"invalid_request_error"'),
    ):
        said = asked((host, int(port)), b"GET %s HTTP/1.1\r\n" % path + headers + b"\r\n")
        assert field in said


def test_a_large_head_within_the_bounds_is_taken(serve: Serve) -> None:
    fields = b"".join(b"X-%d: %s\r\n" % (n, b"a" * 600) for n in range(98))
    said = asked(serve(), HEAD + fields + b"Connection: close\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 200")


def test_bodies_in_chunks_of_one_byte_come_whole(serve: Serve) -> None:
    rest = b"1\r\na\r\n" * 100_000 + b"0\r\nX-Trailer: 1\r\n\r\n"
    with connect(serve()) as connection:
        connection.sendall(CHUNKED + rest + HEAD + b"Connection: close\r\n\r\n")
        said = answer(connection)
    assert said.count(b"HTTP/1.1 200") == 2
    assert b"\r\n\r\n100001" in said


def test_a_few_requests_may_be_sent_before_an_answer_and_no_crowd(serve: Serve) -> None:
    address = serve()
    few = (HEAD + b"\r\n") * 8 + HEAD + b"Connection: close\r\n\r\n"
    assert asked(address, few).count(b"200 OK") == 9
    assert asked(address, (HEAD + b"\r\n") * 20_000).count(b"200 OK") < 100


def test_silence_is_ended(serve: Serve) -> None:
    assert asked(serve(FIRST_BYTE_TIMEOUT=0.2, SWEEP_INTERVAL=0.05)) == b""
    address = serve(
        FIRST_BYTE_TIMEOUT=PATIENCE, HEAD_TIMEOUT=0.2, BODY_IDLE_TIMEOUT=0.2, SWEEP_INTERVAL=0.05
    )
    assert asked(address, HEAD).startswith(b"HTTP/1.1 408")
    assert asked(address, CHUNKED).startswith(b"HTTP/1.1 408")
    with connect(address) as connection:  # it is answered, and then says half of another request
        connection.sendall(HEAD + b"\r\n")
        assert connection.recv(10_000)
        connection.sendall(HEAD)
        assert answer(connection).startswith(b"HTTP/1.1 408")


def test_a_body_that_drips_is_ended(serve: Serve) -> None:
    address = serve(BODY_IDLE_TIMEOUT=0.3, SWEEP_INTERVAL=0.05)
    with connect(address) as connection:
        connection.sendall(CHUNKED)
        dripping = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):
                while not dripping.wait(0.05):
                    connection.sendall(b"1\r\na\r\n")

        thread = threading.Thread(target=drip)
        thread.start()
        said = answer(connection)
        dripping.set()
        thread.join()
    assert said.startswith(b"HTTP/1.1 408")


def test_who_waits_longest_makes_room(serve: Serve) -> None:
    address = serve(most=10)
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(connect(address)) for _ in range(30)]
        idle[-1].sendall(HEAD + b"\r\n")
        assert idle[-1].recv(100).startswith(b"HTTP/1.1 200")
        assert answer(idle[0]) == b""


def test_one_that_is_at_work_is_not_cut_off(serve: Serve) -> None:
    """Here all are: what is too much is refused."""
    address = serve(most=3)
    WORKING.clear()
    with contextlib.ExitStack() as stack:
        working = [stack.enter_context(connect(address)) for _ in range(3)]
        for each in working:
            each.sendall(b"GET /work HTTP/1.1\r\nHost: x\r\n\r\n")
            assert AT_WORK.acquire(timeout=PATIENCE)
        said = asked(address, HEAD + b"\r\n")
        assert said.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 2" in said
        WORKING.set()
        assert all(each.recv(100).startswith(b"HTTP/1.1 200") for each in working)


def test_an_address_has_its_share(serve: Serve) -> None:
    address = serve(per_address=3)
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(connect(address, "127.0.0.2"))
        assert asked(address, source="127.0.0.2").startswith(b"HTTP/1.1 429")
        said = asked(address, HEAD + b"Connection: close\r\n\r\n", source="127.0.0.3")
        assert said.startswith(b"HTTP/1.1 200")
        for _ in range(5):  # those of a proxy are no one client's
            stack.enter_context(connect(address))
        said = asked(address, HEAD + b"Connection: close\r\n\r\n")
        assert said.startswith(b"HTTP/1.1 200")


def test_behind_a_proxy_it_is_the_client_that_counts(serve: Serve) -> None:
    address = serve(per_address=3)
    head = (
        b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n"
        b"X-Forwarded-For: %s\r\n\r\n"
    )

    def status(forwarded: bytes, source: str = "127.0.0.1") -> bytes:
        """Of the first answer: 100 once the application waits for the body."""
        connection = stack.enter_context(connect(address, source))
        connection.sendall(head % forwarded)
        found = connection.recv(10_000)[9:12]
        if found == b"100":
            reading.append(connection)
        return found

    reading: list[socket.socket] = []
    with contextlib.ExitStack() as stack:
        assert {status(b"192.0.2.1, 127.0.0.1") for _ in range(3)} == {b"100"}
        assert status(b"203.0.113.5, 192.0.2.1") == b"429"  # what a client says before it is naught
        assert status(b"192.0.2.2") == b"100"
        for connection in reading:
            connection.sendall(b"9")
            assert b"200 OK" in connection.recv(10_000)
        assert status(b"192.0.2.1") == b"100"
        assert status(b"192.0.2.1", source="127.0.0.9") == b"100"  # which is no proxy


def test_more_connections_than_the_soft_limit_lock_nobody_out(server: Server) -> None:
    api = next(
        child
        for child in psutil.Process(server.process.pid).children()
        if child.cmdline()[-2:-1] == ["api"]
    )
    soft, hard = api.rlimit(psutil.RLIMIT_NOFILE)
    assert soft == hard or hard == resource.RLIM_INFINITY
    host, port = server.url.removeprefix("http://").split(":")
    mine: Any = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (mine[1], mine[1]))
    try:
        with contextlib.ExitStack() as stack:
            for _ in range(1100):
                stack.enter_context(connect((host, int(port)))).sendall(HEAD)
            assert requests.get(f"{server.url}/health/live", timeout=PATIENCE).status_code == 200
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, mine)
