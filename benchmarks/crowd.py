"""A thousand clients that ask again and again, each over a connection of its own."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from time import perf_counter


@dataclass
class Asked:
    """Seconds of every answer, and what was answered last."""

    seconds: list[float] = field(default_factory=list)
    last: bytes = b""


class _Client(asyncio.Protocol):
    """Asks, waits for the answer, pauses; knows only answers with a Content-Length.

    Pauses differ by a tenth: of clients that pause alike those that once came together, as one of
    them was held up, would come together for ever.
    """

    def __init__(self, request: bytes, pause: float, until: float, asked: Asked) -> None:
        self._request = request
        self._pause = pause
        self._until = until
        self._asked = asked
        self._received = b""
        self._length = -1
        self._sent_at = 0.0
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self) -> None:
        """Once more, unless the time is over."""
        if perf_counter() >= self._until:
            self._transport.close()
            self.done.set_result(None)
            return
        self._sent_at = perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._length < 0:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._received[:end].lower()
            if not head.startswith(b"http/1.1 200"):
                self._fail(self._received)
                return
            at = head.index(b"content-length:") + 15
            self._length = end + 4 + int(head[at:].split(b"\r\n", 1)[0])
        if len(self._received) >= self._length:
            self._asked.seconds.append(perf_counter() - self._sent_at)
            self._asked.last = self._received
            self._received, self._length = b"", -1
            if self._pause:
                self._loop.call_later(self._pause * random.uniform(0.9, 1.1), self.ask)
            else:
                self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self._fail(str(exc).encode())

    def _fail(self, why: bytes) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(why[:300].decode(errors="replace")))


async def ask(
    port: int, path: str, key: str, *, clients: int, pause: float, seconds: float
) -> Asked:
    """So many clients for so long. They begin evenly over one pause."""
    asked = Asked()
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
    until = perf_counter() + seconds + clients / 2000
    loop = asyncio.get_running_loop()
    crowd = []
    for _ in range(clients):
        _, client = await loop.create_connection(
            lambda: _Client(head, pause, until, asked), "127.0.0.1", port
        )
        crowd.append(client)
    for number, client in enumerate(crowd):
        loop.call_later(pause * number / clients, client.ask)
    await asyncio.gather(*(client.done for client in crowd))
    return asked
