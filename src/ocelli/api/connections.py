"""Limits of HTTP connections: size of heads, number of connections, timeouts.

uvicorn bounds little of this by configuration, so its protocol is extended. A request that breaks a
bound is answered in the shape of its surface, and its connection is closed.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from functools import lru_cache
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from ocelli.api.access_log import NO_ROUTE, Answered
from ocelli.api.dialects import errors_of
from ocelli.api.proxies import parse_address

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_HEAD_BYTES = 64 * 1024  # bytes of all header fields together, trailers included
MAX_URL_BYTES = 32 * 1024  # 500 ids in a query are 20 KB
MAX_FIELDS = 100
MAX_PIPELINED = 16
CHUNK_BYTES = 64 * 1024  # bytes that are parsed at a time

# Seconds.
FIRST_BYTE_TIMEOUT = 10.0  # of a connection
HEAD_TIMEOUT = 20.0
BODY_IDLE_TIMEOUT = 75.0  # longer than routes wait, which answer in their own words
WRITE_TIMEOUT = 60.0
LINGER_TIMEOUT = 2.0  # of a rejected client that still sends: cut off, it would not see the answer
SWEEP_INTERVAL = 1.0
SWEPT_AT_ONCE = 50

MIN_BODY_RATE = 500  # bytes per second, once it has taken longer than BODY_IDLE_TIMEOUT
EVICTED = 20  # one in so many is closed at a time, where there is no room for a new one

_TOO_LARGE = f"The head of the request is larger than {MAX_HEAD_BYTES // 1024} KB."
_TOO_MANY = f"The request has more than {MAX_FIELDS} header fields."
_TOO_LONG = f"The address of the request is longer than {MAX_URL_BYTES // 1024} KB."
_TOO_SLOW = "The request did not come in time."
_CROWDED = "Too many connections from your address. Close some, and try again."
_FULL = "Too many connections right now. Try again later."


class _Rejected(Exception):
    """Ends the parsing of a request that is rejected."""


class Connections:
    """All connections of a process, their limits and timeouts.

    At ``max_connections`` those are closed that have waited longest for their client; one whose
    request is being answered never is. ``per_address`` limits each client: the peer or, behind one
    of the networks ``proxies``, the client of ``X-Forwarded-For``.
    """

    def __init__(self, *, max_connections: int, per_address: int, proxies: Sequence[str]) -> None:
        self._max_connections = max_connections
        self._per_address = per_address
        self._proxies = [ip_network(each) for each in proxies]
        self._open: set[BoundedProtocol] = set()
        self._of_address: Counter[str] = Counter()
        self.is_proxy = lru_cache(maxsize=4096)(self._is_proxy)

    def protocol(self, *arguments: Any, **options: Any) -> BoundedProtocol:
        """Create the protocol of a connection, for ``uvicorn.Config(http=...)``."""
        return BoundedProtocol(self, *arguments, **options)

    def add(self, connection: BoundedProtocol) -> bool:
        """Add a connection, closing others if needed; return whether there is room for it."""
        if not self._open:
            connection.loop.call_later(SWEEP_INTERVAL, self._sweep)
        if len(self._open) >= self._max_connections:
            self._close_longest_waiting()
        self._open.add(connection)
        return len(self._open) <= self._max_connections

    def remove(self, connection: BoundedProtocol) -> None:
        """Remove a closed connection."""
        self._open.discard(connection)

    def enter(self, address: str) -> bool:
        """Count a connection of an address; return whether it is within the limit."""
        self._of_address[address] += 1
        return self._of_address[address] <= self._per_address

    def leave(self, address: str) -> None:
        """Count one connection less of an address."""
        self._of_address[address] -= 1
        if not self._of_address[address]:
            del self._of_address[address]

    def client_of(self, forwarded: str) -> str | None:
        """Return the client of ``X-Forwarded-For``: its last address that is no trusted proxy."""
        for each in reversed(forwarded.split(",")):
            address = network_of(each.strip())
            if address is None:
                return None
            if not self.is_proxy(each.strip()):
                return address
        return None

    def _is_proxy(self, address: str) -> bool:
        parsed = parse_address(address)
        return parsed is not None and any(parsed in network for network in self._proxies)

    def _close_longest_waiting(self) -> None:
        waiting = sorted(
            (each for each in self._open if each.is_waiting), key=lambda each: each.last_activity_at
        )
        for connection in waiting[: max(1, self._max_connections // EVICTED)]:
            self._open.discard(connection)
            connection.transport.abort()

    def _sweep(self, rest: Sequence[BoundedProtocol] | None = None) -> None:
        """Check the timeouts, a few connections at a time: a thousand take half a second."""
        rest = list(self._open) if rest is None else rest
        for connection in rest[:SWEPT_AT_ONCE]:
            connection.check_timeouts()
        loop = asyncio.get_running_loop()
        if len(rest) > SWEPT_AT_ONCE:
            loop.call_soon(self._sweep, rest[SWEPT_AT_ONCE:])
        elif self._open:
            loop.call_later(SWEEP_INTERVAL, self._sweep)


class BoundedProtocol(HttpToolsProtocol):
    """One connection, with limits and timeouts."""

    def __init__(self, limits: Connections, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._limits = limits
        self.url = b""
        self._rejection: tuple[int, str] | None = None
        self._rejected_at: float | None = None
        self._address: str | None = None  # counted for the whole connection
        self._forwarded: str | None = None  # counted for the request
        self._unparsed_bytes = 0  # bytes since the last head or piece of a body was complete
        self._head_bytes = self._fields = 0
        self._message_started_at: float | None = None  # the head, and then the body, of the request
        self._is_in_body = False
        self._is_new = True  # no request has come yet
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._blocked_at: float | None = None
        self.last_activity_at = self.loop.time()

    @property
    def is_waiting(self) -> bool:
        """Whether the connection waits for its client: for a request, or the rest of one."""
        if self._rejected_at is not None or self._is_answered:
            return True
        return self._is_in_body and not self.flow.read_paused

    @property
    def _is_answered(self) -> bool:
        return self._is_new or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self.last_activity_at = self.loop.time()
        peer = self.client[0] if self.client else ""
        if not self._limits.is_proxy(peer) and (address := network_of(peer)) is not None:
            self._address = address
            if not self._limits.enter(address):
                self._reject(429, _CROWDED)
        if not self._limits.add(self):
            self._reject(503, _FULL)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._limits.remove(self)
        if self._address is not None:
            self._limits.leave(self._address)
        self._leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self.last_activity_at = self.loop.time()
        for at in range(0, len(data), CHUNK_BYTES):
            if self._rejected_at is not None or self.parser is None:
                return
            chunk = data[at : at + CHUNK_BYTES]
            self._unparsed_bytes += len(chunk)
            super().data_received(chunk)
            self._flush_body()
            if self._unparsed_bytes > MAX_HEAD_BYTES + CHUNK_BYTES:
                self._reject(*(self._rejection or (431, _TOO_LARGE)))

    def on_message_begin(self) -> None:
        """See httptools."""
        self._head_bytes = self._fields = self._body_bytes = 0
        self._message_started_at = self.last_activity_at
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """See httptools."""
        self._count_head_bytes(len(url))
        super().on_url(url)
        if len(self.url) > MAX_URL_BYTES:
            self._abort_parsing(414, _TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        """See httptools. Also of a trailer."""
        self._fields += 1
        self._count_head_bytes(len(name) + len(value))
        if self._fields > MAX_FIELDS:
            self._abort_parsing(431, _TOO_MANY)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """See httptools."""
        self._unparsed_bytes = 0
        if len(self.pipeline) >= MAX_PIPELINED:
            self.transport.abort()
            self._abort_parsing(429, _CROWDED)
        if self._address is None and self._forwarded is None:
            self._enter()
        super().on_headers_complete()
        self._message_started_at, self._is_in_body, self._is_new = (
            self.last_activity_at,
            True,
            False,
        )

    def on_body(self, body: bytes) -> None:
        """See httptools. Chunks may be of one byte, and tens of thousands come at once."""
        self._body.append(body)

    def _flush_body(self) -> None:
        if self._body:
            self._unparsed_bytes = 0
            body = b"".join(self._body)
            self._body.clear()
            self._body_bytes += len(body)
            super().on_body(body)

    def on_message_complete(self) -> None:
        """See httptools."""
        self._flush_body()
        self._unparsed_bytes = 0
        self._message_started_at, self._is_in_body = None, False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """See uvicorn."""
        self._leave()
        self.last_activity_at = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self._blocked_at = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self._blocked_at = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """See uvicorn: the parser has failed."""
        self._reject(*(self._rejection or (400, msg)))

    def check_timeouts(self) -> None:
        """Close the connection after a timeout, with an answer if that is possible."""
        now = self.loop.time()
        if self._rejected_at is not None:
            has_timed_out = now - self._rejected_at > LINGER_TIMEOUT
        elif self._blocked_at is not None:
            has_timed_out = now - self._blocked_at > WRITE_TIMEOUT
        else:
            is_silent = self._is_new and self._message_started_at is None
            has_timed_out = is_silent and now - self.last_activity_at > FIRST_BYTE_TIMEOUT
        if has_timed_out:  # the silence after an answer is uvicorn's: timeout_keep_alive
            self.transport.abort()
        elif self._message_started_at is not None and self._is_too_slow(
            now - self._message_started_at, now
        ):
            self._reject(408, _TOO_SLOW)

    def _is_too_slow(self, elapsed: float, now: float) -> bool:
        if not self._is_in_body:
            return self._is_answered and elapsed > HEAD_TIMEOUT
        if self.flow.read_paused:
            return False
        if now - self.last_activity_at > BODY_IDLE_TIMEOUT:
            return True
        return elapsed > BODY_IDLE_TIMEOUT and self._body_bytes < MIN_BODY_RATE * elapsed

    def _count_head_bytes(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            self._abort_parsing(431, _TOO_LARGE)

    def _enter(self) -> None:
        """Count the request for the client that a trusted proxy names."""
        forwarded = b",".join(value for name, value in self.headers if name == b"x-forwarded-for")
        client = self._limits.client_of(forwarded.decode("latin-1")) if forwarded else None
        if client is not None:
            self._forwarded = client
            if not self._limits.enter(client):
                self._abort_parsing(429, _CROWDED)

    def _leave(self) -> None:
        if self._forwarded is not None:
            self._limits.leave(self._forwarded)
            self._forwarded = None

    def _abort_parsing(self, status: int, message: str) -> None:
        self._rejection = (status, message)
        raise _Rejected(message)

    def _reject(self, status: int, message: str) -> None:
        """Answer and close the connection; within another answer close it only."""
        if self._rejected_at is not None or self.transport.is_closing():
            return
        self._rejected_at = self.loop.time()
        self._unset_keepalive_if_required()
        if self._is_in_body or not self._is_answered:
            if not self._is_in_body or self.pipeline or self.cycle.response_started:
                self.transport.abort()
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.write(self._answer(status, message))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()

    def _answer(self, status: int, message: str) -> bytes:
        state = {"request_id": str(uuid.uuid4())}
        request = Request(
            {
                "type": "http",
                "server": self.server,
                "path": _path(self.url),
                "query_string": b"",
                "headers": [],
                "state": state,
            }
        )
        headers = {"X-Request-ID": state["request_id"]}
        if status in (429, 503):
            headers["Retry-After"] = "2"
        answer = errors_of(request).render_status(request, status, message, headers)
        if not self._is_in_body:  # else the application says it
            Answered("", NO_ROUTE, status, 0.0, state["request_id"]).note()
        head = [STATUS_LINE[status], b"connection: close\r\n"]
        head += [b"%s: %s\r\n" % field for field in answer.headers.raw]
        return b"".join([*head, b"\r\n", bytes(answer.body)])


def network_of(address: str) -> str | None:
    """Return the network of one client: an IPv4 address, or 64 bits of an IPv6 address.

    >>> network_of("2001:db8::1:2:3"), network_of("::ffff:192.0.2.1"), network_of("unix:")
    ('2001:db8::/64', '192.0.2.1', None)
    """
    parsed = parse_address(address)
    if parsed is None or parsed.version == 4:
        return None if parsed is None else str(parsed)
    return str(ip_network((int(parsed), 64), strict=False))


def _path(url: bytes) -> str:
    path = url[:200].decode("latin-1").partition("?")[0]
    return path if path.startswith("/") else "/"
