"""A client that costs as little as possible: it shares the machine with what it measures."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

BOUNDARY = "ocelli-benchmark"


@dataclass(frozen=True)
class Answer:
    """What came back, and how long it took."""

    status: int
    body: bytes
    seconds: float

    def good(self) -> Self:
        """Itself; RuntimeError if it is a refusal."""
        if self.status != 200:
            raise RuntimeError(f"{self.status} {self.body[:300]!r}")
        return self


class Connection:
    """HTTP/1.1 over one socket, kept alive; knows only answers with a Content-Length."""

    def __init__(self, port: int, key: str = "") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._headers = "Host: 127.0.0.1\r\n"
        if key:
            self._headers += f"Authorization: Bearer {key}\r\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def get(self, path: str) -> Answer:
        """Ask, and wait for the answer."""
        started = perf_counter()
        self._socket.sendall(f"GET {path} HTTP/1.1\r\n{self._headers}\r\n".encode())
        return self._answer(started)

    def post(self, path: str, body: bytes) -> Answer:
        """Send JSON, and wait for the answer."""
        started = perf_counter()
        self._send(path, body)
        return self._answer(started)

    def post_form(self, path: str, body: bytes) -> Answer:
        """Send a multipart form with our ``BOUNDARY``, and wait for the answer."""
        started = perf_counter()
        self._send(path, body, f"multipart/form-data; boundary={BOUNDARY}")
        return self._answer(started)

    def first_event(self, path: str, body: bytes) -> float:
        """Seconds until the first server-sent event is here; the rest is read, too."""
        started = perf_counter()
        self._send(path, body)
        received = b""
        while b"data:" not in received:
            received += self._receive()
        seconds = perf_counter() - started
        while not received.endswith(b"\r\n0\r\n\r\n"):
            received += self._receive()
        return seconds

    def _send(self, path: str, body: bytes, content_type: str = "application/json") -> None:
        head = (
            f"POST {path} HTTP/1.1\r\n{self._headers}Content-Length: {len(body)}\r\n"
            f"Content-Type: {content_type}\r\n\r\n"
        ).encode()
        self._socket.sendall(head + body)

    def upload(self, path: str, file: Path, part: str = "file", **fields: str) -> Answer:
        """POST a multipart form with the file as ``part``; the kernel copies the file."""
        before = b"".join(
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
            f"{value}\r\n".encode()
            for name, value in fields.items()
        )
        before += (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{part}"; '
            f'filename="{file.name}"\r\nContent-Type: image/jpeg\r\n\r\n'
        ).encode()
        after = f"\r\n--{BOUNDARY}--\r\n".encode()
        length = len(before) + file.stat().st_size + len(after)
        head = (
            f"POST {path} HTTP/1.1\r\n{self._headers}Content-Length: {length}\r\n"
            f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
        )
        started = perf_counter()
        self._socket.sendall(head.encode() + before)
        with file.open("rb") as source:
            offset = 0
            while sent := os.sendfile(self._socket.fileno(), source.fileno(), offset, 1 << 30):
                offset += sent
        self._socket.sendall(after)
        return self._answer(started)

    def _answer(self, started: float) -> Answer:
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._receive()
        head, _, body = received.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        length = next(
            int(line.partition(":")[2])
            for line in lines
            if line.lower().startswith("content-length:")
        )
        while len(body) < length:
            body += self._receive()
        return Answer(int(lines[0].split()[1]), body, perf_counter() - started)

    def _receive(self) -> bytes:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("the server hung up")
        return data
